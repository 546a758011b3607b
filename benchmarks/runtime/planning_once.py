"""Selection and planning once a prompt: they are not durable steps, and the peers have none.

Their intents, results and commits stay; only the look into the catalog and the planner are spared.
"""

from __future__ import annotations

from planvault.engine.effects import Effect, MakePlan, Prepare
from planvault.engine.inputs import EffectResult, Planned, Prepared
from planvault.engine.state import SessionState
from planvault.runtime.session import LeaseGate, Runner


class PlanningOnce:
    """A runner that does each prompt's selection and plan for real the first time, and then remembers them."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._known: dict[tuple[type[Effect], str], EffectResult] = {}

    async def run(self, state: SessionState, effect: Effect, gate: LeaseGate) -> EffectResult:
        if not isinstance(effect, Prepare | MakePlan):
            return await self._runner.run(state, effect, gate)
        key = type(effect), effect.prompt
        known = self._known.get(key)
        if known is None:
            known = await self._runner.run(state, effect, gate)
            if isinstance(known, Prepared | Planned):
                self._known[key] = known
        return known
