"""The PlanVault library. Knows nothing of Ray or FastAPI; `docs/architecture.md` is the map of its rooms."""

__version__ = "0.1.0"
