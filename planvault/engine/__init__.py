"""decide(state, input) → events · evolve(state, event) → state · effects(state). Pure and deterministic."""
