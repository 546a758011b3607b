"""What stands around the engine: selection, planner, tools, stored values, signals' tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import cast
from uuid import UUID

from models.base import JsonValue
from models.ids import BlobId, ToolId
from models.planning import Candidate, PlanOutcome, Selection, SelectionTier
from models.plans import PlannerMode
from models.policies import PlanApprovalMode, RunLimits
from models.results import FragmentAnswer, FragmentQuery, FragmentRefused, Stored
from models.runtime_policy import (
    ApprovalRule,
    PlanApprovalRules,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SafetyConstraint,
)
from models.tools import ToolFailed, ToolSucceeded
from models.values import Value
from planvault.engine.effects import CallTool, Effect, Fragment, MakePlan, Prepare
from planvault.engine.inputs import Broke, EffectResult, Planned, Prepared
from planvault.engine.pauses import CloseSignal, OpenSignal, SignalClosed, SignalOpened
from planvault.engine.state import RunSettings
from planvault.tools.fragments import evaluated
from tests.simulation.people import People
from tests.simulation.plans import SHARE, random_plan
from tests.simulation.service import FACTS, Odds, Service

_RULES = RuntimePolicy(
    runtime_approval=RuntimeApproval(
        rules=(
            ApprovalRule(id="writes", tools=("write_*",), when="args.a0 == 1"),
            ApprovalRule(id="many", tools=("read_b",), when="run.toolCalls > 4", quorum=2),
        )
    ),
    runtime_safety=RuntimeSafety(constraints=(SafetyConstraint(id="never", tools=("read_c",), when="args.a1 == 7"),)),
    plan_approval=PlanApprovalRules(quorum=2),
)


class Platform:
    def __init__(self, seed: int, people: People) -> None:
        self._rng = Random(f"platform {seed}")
        self._people = people
        self._settings = _settings(self._rng)
        self._share = {**SHARE, "pause": 1.0} if self._rng.random() < 0.4 else SHARE
        self._stores = self._rng.random() < 0.3
        self._blobs: dict[BlobId, Value] = {}
        self.service = Service(seed, Odds(credential=self._rng.choice([0.0, 0.05])))

    def does(self, effect: Effect) -> EffectResult:
        """The effect happens now; the result is on its way."""
        match effect:
            case CallTool():
                return self._stored(self.service.answer(effect))
            case _ if self._rng.random() < 0.01:
                return Broke("INTERNAL", "the platform failed")
            case Prepare():
                return Prepared(_SELECTION, self._settings)
            case MakePlan():
                plan = random_plan(self._rng, self._share) if self._rng.random() < 0.98 else None
                return Planned(PlanOutcome(plan=plan, planner="test", mode=PlannerMode.PYTHON_DSL), FACTS)
            case Fragment(query=query):
                return self._answer(query)
            case OpenSignal():
                if effect.wait.token_id not in self._people.delivered:
                    self._people.opened[effect.wait.token_id] = (effect.run_id, effect.wait)
                return SignalOpened()
            case CloseSignal():
                return SignalClosed(delivered=self._people.closes(effect.token_id))
            case _:
                raise AssertionError(f"nobody does {effect}")

    def _stored(self, outcome: ToolSucceeded | ToolFailed) -> ToolSucceeded | ToolFailed:
        """Now and then a result is too large for the record."""
        if not self._stores or isinstance(outcome, ToolFailed) or self._rng.random() < 0.7:
            return outcome
        blob_id = BlobId(UUID(int=self._rng.getrandbits(120)))
        self._blobs[blob_id] = cast("Value", outcome.value)
        stored = Stored(blob_id=blob_id, size=1, sha256="", media_type="application/json")
        return outcome.model_copy(update={"value": None, "stored": stored})

    def _answer(self, query: FragmentQuery) -> FragmentAnswer:
        scope: dict[str, Value] = {name: self._blobs[stored.blob_id] for name, stored in query.stored.items()}
        found = evaluated(query, {**cast("Mapping[str, Value]", query.inline), **scope})
        if isinstance(found, FragmentRefused):
            return found
        if query.items_from is None or len(found.parts) < 2:
            return found.answer({})
        few = replace(found, parts=found.parts[:2])  # a loop's items come in portions
        if query.items_from > 0 or len(found.parts) == 2:
            return few.answer({})
        return few.answer({_SOURCE: self._list_of(found.parts)})

    def _list_of(self, items: list[JsonValue]) -> Stored:
        blob_id = BlobId(UUID(int=self._rng.getrandbits(120)))
        self._blobs[blob_id] = cast("Value", items)
        return Stored(blob_id=blob_id, size=1, sha256="", media_type="application/json")


_SOURCE = -1
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
        runtime_policy=_RULES if rng.random() < 0.25 else RuntimePolicy(),
    )
