"""Tells one run to its end without faults of the platform: tools may fail, people answer, results come in any order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from models.commands import Action, CommandKind, Resolution, Signal
from models.events import Event, EventType, Visibility
from models.ids import RunId
from models.plans import Plan
from models.policies import PlanApprovalMode, RunLimits
from models.runs import RunStatus
from models.runtime_policy import RuntimePolicy
from models.tools import ToolFailed, ToolSucceeded
from planvault.engine.effects import CallTool, Effect, Fragment, Wait, effects
from planvault.engine.inputs import EffectDone, EffectResult, TimerFired
from planvault.engine.pauses import CloseSignal, OpenSignal, SignalClosed, SignalOpened
from planvault.engine.state import RunState
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
    policy: RuntimePolicy
    order: Random  # in which results come
    story: Story = field(default_factory=Story)
    answers: dict[str, ToolSucceeded | ToolFailed] = field(default_factory=dict)  # on their way back
    most_in_flight: int = 0

    def tell(self) -> CalmRun:
        limits = self.limits.model_copy(update={"max_wall_clock_s": _NO_LIMIT_S})
        settings = {"limits": limits, "plan_approval_mode": PlanApprovalMode.AUTO, "runtime_policy": self.policy}
        self.story.begin(self.plan, *FACTS, **settings)
        for _ in range(_MOST_INPUTS):
            if self.story.state.run is None:
                return self
            self._next(self.story.state.run)
        raise AssertionError("the run does not end")

    def _next(self, run: RunState) -> None:
        outstanding = effects(self.story.state)
        waits = [effect for effect in outstanding if isinstance(effect, Wait)]
        in_flight = [effect for effect in outstanding if not isinstance(effect, Wait)]
        calls = [effect for effect in in_flight if isinstance(effect, CallTool)]
        self.most_in_flight = max(self.most_in_flight, len(calls))
        for call in calls:
            if call.effect_id not in self.answers:
                self.answers[call.effect_id] = self.service.answer(call)
        if in_flight:
            self._done(self.order.choice(in_flight))
        elif run.status in _ANSWERED and not (waits and self._lets_it_expire(run)):
            self._answer(run)
        else:
            assert waits, f"a run that is {run.status} waits for nothing"
            self.story.now = max(self.story.now, waits[0].until)
            self.story.tell(TimerFired(self.story.now, RunId(self.story.fresh())))

    def _lets_it_expire(self, run: RunState) -> bool:
        return draw(self.service.seed, run.attempt, _node(run)).random() < 0.1

    def _done(self, effect: Effect) -> None:
        result: EffectResult
        match effect:
            case CallTool():
                result = self.answers[effect.effect_id]
            case Fragment():
                result = self.service.fragment(effect)
            case OpenSignal():
                result = SignalOpened()
            case CloseSignal():
                result = SignalClosed(delivered=False)
            case _:
                raise AssertionError(f"nobody does {effect}")
        self.story.tell(EffectDone(effect.effect_id, result, self.story.now, RunId(self.story.fresh())))

    def _answer(self, run: RunState) -> None:
        """What people say depends on the step alone."""
        chance = draw(self.service.seed, _node(run), run.attempt, "people")
        match run.status:
            case RunStatus.AWAITING_SLOTS:
                self.story.acts(CommandKind.FILL_SLOTS, values={"s1": 3})
            case RunStatus.AWAITING_CONFIRMATION:
                assert run.question is not None
                kind = CommandKind.REJECT_TOOL if chance.random() < 0.1 else CommandKind.APPROVE_TOOL
                for operator in ("ann", "bob")[: run.question.ballot.quorum]:
                    self.story.acts(kind, operator=operator, correlation_id=run.question.correlation_id)
            case RunStatus.AWAITING_EXTERNAL_SIGNAL:
                assert run.signal is not None
                payload = {"n": chance.randint(0, 9), "items": []}
                came = Signal(run_id=run.run_id, token_id=run.signal.token_id, payload=payload)
                self.story.command(CommandKind.SIGNAL, came)
            case _:
                assert run.recovery is not None
                self.story.now = max(self.story.now, run.recovery.not_before)
                action = Action(resolution=chance.choice(list(Resolution)), result={"n": 1, "items": [], "ok": True})
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


_ANSWERED = frozenset(
    {
        RunStatus.AWAITING_SLOTS,
        RunStatus.AWAITING_CONFIRMATION,
        RunStatus.AWAITING_EXTERNAL_SIGNAL,
        RunStatus.NEEDS_MANUAL_RECOVERY,
    }
)
_TIMES = frozenset({"expiresAt", "retryNotBefore"})


def _node(run: RunState) -> str:
    return getattr(getattr(run.stop, "node", None), "id", "") + getattr(run.stop, "iteration", "")


def _without_times(event: Event) -> str:
    told = {name: value for name, value in event.payload.items() if name not in _TIMES}
    return f"{event.type.value} {json.dumps(told, sort_keys=True, default=str)}"


def both(
    plan: Plan, seed: int, limits: RunLimits, policy: RuntimePolicy, order: Random, stored_share: float
) -> tuple[CalmRun, CalmRun]:
    """The same run one call after the other, and with reads before their turn."""
    one_by_one = limits.model_copy(update={"max_parallel_calls": 1})
    sequential = CalmRun(plan, Service(seed, stored_share=stored_share), one_by_one, policy, order)
    concurrent = CalmRun(plan, Service(seed, stored_share=stored_share), limits, policy, order)
    return sequential.tell(), concurrent.tell()
