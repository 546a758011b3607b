"""Tells one run to its end without faults of the platform: tools may fail, people answer, results come in any order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from models.commands import Action, CommandKind, Resolution
from models.events import Event, EventType, Visibility
from models.ids import RunId
from models.plans import Plan
from models.policies import PlanApprovalMode, RunLimits
from models.runs import RunStatus
from models.tools import ToolFailed, ToolSucceeded
from planvault.engine.effects import CallTool, Wait, effects
from planvault.engine.inputs import EffectDone, TimerFired
from tests.simulation.plans import READS
from tests.simulation.service import FACTS, Service, draw
from tests.unit.engine.story import Story

_MOST_INPUTS = 5_000
_NO_LIMIT_S = 10.0**9  # waits add up differently where calls overlap


@dataclass
class CalmRun:
    plan: Plan
    service: Service
    limits: RunLimits
    order: Random  # in which results come
    story: Story = field(default_factory=Story)
    answers: dict[str, ToolSucceeded | ToolFailed] = field(default_factory=dict)  # on their way back
    most_in_flight: int = 0

    def tell(self) -> CalmRun:
        limits = self.limits.model_copy(update={"max_wall_clock_s": _NO_LIMIT_S})
        self.story.begin(self.plan, *FACTS, limits=limits, plan_approval_mode=PlanApprovalMode.AUTO)
        for _ in range(_MOST_INPUTS):
            if self.story.state.run is None:
                return self
            self._next()
        raise AssertionError("the run does not end")

    def _next(self) -> None:
        outstanding = effects(self.story.state)
        calls = {effect.effect_id: effect for effect in outstanding if isinstance(effect, CallTool)}
        for effect_id, call in calls.items():
            if effect_id not in self.answers:
                self.answers[effect_id] = self.service.answer(call)
        self.most_in_flight = max(self.most_in_flight, len(calls))
        waits = [effect for effect in outstanding if isinstance(effect, Wait)]
        if calls:
            effect_id = self.order.choice(sorted(calls))
            done = EffectDone(effect_id, self.answers[effect_id], self.story.now, RunId(self.story.fresh()))
            self.story.tell(done)
        elif self._status in _ANSWERED:
            self._answer()
        elif waits:
            self.story.now = max(self.story.now, waits[0].until)
            self.story.tell(TimerFired(self.story.now, RunId(self.story.fresh())))
        else:
            raise AssertionError(f"a run that is {self._status} waits for nothing")

    @property
    def _status(self) -> RunStatus:
        run = self.story.state.run
        assert run is not None
        return run.status

    def _answer(self) -> None:
        """What people say depends on the step alone."""
        run = self.story.state.run
        assert run is not None
        if run.status is RunStatus.AWAITING_SLOTS:
            self.story.acts(CommandKind.FILL_SLOTS, values={"s1": 3})
            return
        assert run.recovery is not None
        self.story.now = max(self.story.now, run.recovery.not_before)
        resolution = draw(self.service.seed, run.recovery.node_id, run.attempt).choice(list(Resolution))
        action = Action(resolution=resolution, result={"n": 1, "items": [], "ok": True})
        self.story.command(CommandKind.RESOLVE, action)

    # ── what is compared ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def history(self) -> list[str]:
        """What people see, in order, without times."""
        return [_without_times(event) for event in self.story.events if event.visibility is Visibility.HISTORY]

    @property
    def effective(self) -> list[tuple[str, str, Any]]:
        """Requests that are not reads, in the order in which the service met them."""
        return [request for request in self.service.requests if request[1] not in READS]

    @property
    def done(self) -> dict[str, Any]:
        return self.story.one(EventType.DONE)


_ANSWERED = frozenset({RunStatus.AWAITING_SLOTS, RunStatus.NEEDS_MANUAL_RECOVERY})
_TIMES = frozenset({"expiresAt", "retryNotBefore"})


def _without_times(event: Event) -> str:
    shown = {name: value for name, value in event.payload.items() if name not in _TIMES}
    return f"{event.type.value} {json.dumps(shown, sort_keys=True, default=str)}"


def both(plan: Plan, seed: int, limits: RunLimits, order: Random) -> tuple[CalmRun, CalmRun]:
    """The same run one call after the other, and with reads before their turn."""
    sequential = CalmRun(plan, Service(seed), limits.model_copy(update={"max_parallel_calls": 1}), order)
    concurrent = CalmRun(plan, Service(seed), limits, order)
    return replace(sequential).tell(), replace(concurrent).tell()
