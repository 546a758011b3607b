"""What stands around the engine: selection, planner, tools, stored values, signals' tokens."""

from __future__ import annotations

from random import Random
from uuid import UUID

from models.ids import ToolId
from models.planning import Candidate, PlanOutcome, Selection, SelectionTier
from models.plans import PlannerMode
from models.policies import PlanApprovalMode, RunLimits
from models.runtime_policy import (
    ApprovalRule,
    PlanApprovalRules,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SafetyConstraint,
    SlotRules,
)
from planvault.engine.effects import CallTool, Effect, Fragment, MakePlan, Prepare
from planvault.engine.inputs import Broke, EffectResult, Planned, Prepared
from planvault.engine.pauses import CloseSignal, OpenSignal, SignalClosed, SignalOpened
from planvault.engine.state import RunSettings
from tests.simulation.people import People
from tests.simulation.plans import SHARE, random_plan
from tests.simulation.service import FACTS, Odds, Service

RULES = RuntimePolicy(
    runtime_approval=RuntimeApproval(
        rules=(
            ApprovalRule(id="writes", tools=("write_*",), when="args.a0 == 1"),
            ApprovalRule(id="two", tools=("read_b",), when="args.a0 == 2", quorum=2),
        )
    ),
    runtime_safety=RuntimeSafety(constraints=(SafetyConstraint(id="never", tools=("read_c",), when="args.a1 == 7"),)),
    plan_approval=PlanApprovalRules(quorum=2),
)

COUNTING = RuntimePolicy(
    runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="many", tools=("read_*",), when="run.toolCalls > 4"),))
)

EXPIRING = RuntimePolicy(
    runtime_approval=RuntimeApproval(
        rules=(ApprovalRule(id="writes", tools=("write_*",), when="args.a0 == 1"),), expires_in_seconds=600
    ),
    plan_approval=PlanApprovalRules(expires_in_seconds=600),
    slots=SlotRules(expires_in_seconds=600),
)


class Platform:
    def __init__(self, seed: int, people: People) -> None:
        self._rng = Random(f"platform {seed}")
        self._people = people
        self._settings = _settings(self._rng)
        self._share = {**SHARE, "pause": 1.0} if self._rng.random() < 0.4 else SHARE
        odds = Odds(credential=self._rng.choice([0.0, 0.05]))
        self.service = Service(seed, odds, stored_share=self._rng.choice([0.0, 0.0, 0.3]))

    def does(self, effect: Effect) -> EffectResult:
        """The effect happens now; the result is on its way."""
        match effect:
            case CallTool():
                return self.service.answer(effect)
            case _ if self._rng.random() < 0.01:
                return Broke("INTERNAL", "the platform failed")
            case Prepare():
                return Prepared(_SELECTION, self._settings)
            case MakePlan():
                plan = random_plan(self._rng, self._share) if self._rng.random() < 0.98 else None
                return Planned(PlanOutcome(plan=plan, planner="test", mode=PlannerMode.PYTHON_DSL), FACTS)
            case Fragment():
                return self.service.fragment(effect)
            case OpenSignal():
                if effect.wait.token_id not in self._people.delivered:
                    self._people.opened[effect.wait.token_id] = (effect.run_id, effect.wait)
                return SignalOpened()
            case CloseSignal():
                return SignalClosed(delivered=self._people.closes(effect.token_id))
            case _:
                raise AssertionError(f"nobody does {effect}")


_SELECTION = Selection(
    tier=SelectionTier.DIRECT,
    catalog_size=1,
    shortlist=(Candidate(tool_id=ToolId(UUID(int=9)), version=1, name="read_a", group="g", score=1.0),),
)


def _settings(rng: Random) -> RunSettings:
    return RunSettings(
        plan_approval_mode=rng.choice([PlanApprovalMode.AUTO, PlanApprovalMode.AUTO, PlanApprovalMode.REQUIRE]),
        auto_approve_plan=False,
        limits=RunLimits(
            max_parallel_calls=rng.choice([1, 2, 4, 16, 16]),
            max_tool_calls=rng.choice([4, 30, 200]),
            max_loop_iterations=rng.choice([6, 1_000]),
            max_attempts=rng.choice([1, 2, 3]),
            max_wall_clock_s=rng.choice([150.0, 3_600.0, 10.0**7]),
        ),
        runtime_policy=rng.choice([RULES, COUNTING, EXPIRING, EXPIRING, *[RuntimePolicy()] * 4]),
    )
