"""What must be true of a session's record whatever happens (design, "Invariants"); every append is held against it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from models.commands import CommandKind, Resolution
from models.events import Event, EventType, Visibility
from models.ids import RunId
from models.runs import TERMINAL, RunStatus
from models.tools import Idempotency, RiskClass, ToolCallFailure
from planvault.engine.effects import CallTool, Effect, Wait
from planvault.engine.evolve import evolve
from planvault.engine.inputs import CommandArrived, Input
from planvault.engine.recorder import Decision
from planvault.engine.state import SessionState
from planvault.ports import RunRow
from tests.simulation.service import BY_NAME
from tests.unit.engine.story import SCOPE

_UNSENT = frozenset({ToolCallFailure.NOT_SENT.value, ToolCallFailure.REFUSED.value, ToolCallFailure.CREDENTIAL.value})
_SOMEBODY = frozenset(
    {
        RunStatus.AWAITING_CONFIRMATION,
        RunStatus.AWAITING_SLOTS,
        RunStatus.AWAITING_REAUTH,
        RunStatus.AWAITING_EXTERNAL_SIGNAL,
        RunStatus.NEEDS_MANUAL_RECOVERY,
    }
)


@dataclass
class Invariants:
    folded: SessionState = field(default_factory=lambda: SessionState(SCOPE))  # from the first event on
    resumed: SessionState = field(default_factory=lambda: SessionState(SCOPE))  # … from the newest snapshot on
    rows: dict[RunId, RunRow] = field(default_factory=dict)
    statuses: set[RunStatus] = field(default_factory=set)  # that any row had
    intended: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)  # calls intended, with neither result nor another attempt
    sent: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)  # effect → how it failed, as far as recorded
    ordered_again: set[str] = field(default_factory=set)  # effects that an operator asked for
    attempts: dict[str, list[str]] = field(default_factory=dict)  # step → effects sent
    ended: set[RunId] = field(default_factory=set)
    started: dict[RunId, str] = field(default_factory=dict)  # the call that history shows as going on
    digest: Any = field(default_factory=hashlib.sha256)

    # ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────

    def appended(self, before: SessionState, given: Input, decision: Decision) -> None:
        expected = range(before.seq + 1, before.seq + 1 + len(decision.events))
        assert [event.seq for event in decision.events] == list(expected), "seq has a gap"
        for event in decision.events:
            self._event(event)
        for row in decision.runs:
            assert self.rows.get(row.run_id) is None or self.rows[row.run_id].status not in TERMINAL, "ended twice"
            self.rows[row.run_id] = row
            self.statuses.add(row.status)
        if _orders_again(given):
            self.ordered_again |= _intents(decision.events)
        self._folds_alike(decision)
        self._is_named(decision.state)

    def _folds_alike(self, decision: Decision) -> None:
        """The record, as it will be read back, rebuilds the state: since `evolve` is pure, one step at a time."""
        for event in decision.events:
            stored = _stored(event)
            self.folded = evolve(self.folded, stored)
            fresh = event.type is EventType.SNAPSHOT
            self.resumed = evolve(SessionState(SCOPE) if fresh else self.resumed, stored)
        assert self.folded == decision.state, "the record gives another state"
        assert self.resumed == decision.state, "the record since the snapshot gives another state"

    def _event(self, event: Event) -> None:
        self.digest.update(orjson.dumps([event.seq, event.type, event.at, event.payload]))
        match event.type:
            case EventType.EFFECT_INTENDED | EventType.AHEAD_INTENDED:
                self._intends(_intents([event]), is_call=event.payload.get("kind", "call") == "call")
            case EventType.EFFECT_RECORDED | EventType.AHEAD_RECORDED:
                self._recorded(event.payload)
            case EventType.WAIT_BEGUN:  # the engine answers it itself
                self.intended.add(f"{event.run_id}:{event.payload['nodeId']}")
        told = event.payload.get("runId")
        if event.visibility is Visibility.HISTORY and told is not None and event.type is not EventType.ACTION_REFUSED:
            self._history(event, RunId(UUID(str(told))))

    def _intends(self, effect_ids: set[str], *, is_call: bool) -> None:
        """A new attempt stands for the loss of the one before. What is no call may be done again unseen."""
        self.intended |= effect_ids
        if not is_call:
            return
        steps = {effect_id.rsplit(":", 1)[0] for effect_id in effect_ids}
        self.open = {effect_id for effect_id in self.open if effect_id.rsplit(":", 1)[0] not in steps}
        self.open |= effect_ids

    def _recorded(self, payload: Any) -> None:
        effect_id, result = payload["effectId"], payload.get("result")
        self.open.discard(effect_id)
        step = ":".join(effect_id.split(":")[:2])
        assert effect_id in self.intended or step in self.intended, f"{effect_id} has a result and no intent"
        if isinstance(result, dict) and not result.get("ok", True):
            self.failures[effect_id] = result["failure"]

    def _history(self, event: Event, run_id: RunId) -> None:
        assert run_id not in self.ended, f"{event.type} after the run has ended"
        match event.type:
            case EventType.TOOL_START:
                going, this = self.started.get(run_id), _call(event)
                assert going is None or going == this, f"{this} starts while {going} goes on"
                self.started[run_id] = this
            case EventType.TOOL_END:
                assert self.started.get(run_id) == _call(event), "a call ends that had not started"
                if event.payload.get("next") not in {"recover", "reauth"}:  # somebody decides what its end is
                    del self.started[run_id]
            case EventType.DONE:
                assert event.payload["status"] in {status.value for status in TERMINAL}
                self.ended.add(run_id)
                forgotten = {effect_id for effect_id in self.open if effect_id.startswith(f"{run_id}:")}
                assert not forgotten, f"the run ends, and nobody knows what became of {sorted(forgotten)}"

    def _is_named(self, state: SessionState) -> None:
        """A run goes on, or a column says what it waits for."""
        if state.run is None:
            return
        row = self.rows[state.run.run_id]
        assert row.status is state.run.status, "the read model shows another status"
        if row.status in _SOMEBODY:
            assert row.pending is not None, f"{row.status} and nobody knows what for"
            assert row.pending.get("kind"), "what it waits for has no kind"

    # ── the outside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def sends(self, call: CallTool) -> None:
        """A request goes out."""
        assert call.effect_id in self.intended, f"{call.effect_id} goes out without its intent"
        assert call.effect_id not in self.sent, f"{call.effect_id} goes out twice"
        self.sent.add(call.effect_id)
        step = call.effect_id.rsplit(":", 1)[0]
        earlier = self.attempts.setdefault(step, [])
        if BY_NAME[call.pin.name].idempotency is Idempotency.NONE and call.effect_id not in self.ordered_again:
            ordered = [place for place, effect in enumerate(earlier) if effect in self.ordered_again]
            since = earlier[ordered[-1] :] if ordered else earlier  # the operator took the risk of those before
            doubtful = [effect for effect in since if self.failures.get(effect) not in _UNSENT]
            assert not doubtful, f"{call.effect_id} repeats {doubtful}, which may have been executed"
        earlier.append(call.effect_id)

    def runs(self, state: SessionState, effects: Sequence[Effect]) -> None:
        """What is in flight at once."""
        calls = [effect for effect in effects if isinstance(effect, CallTool)]
        if len(calls) > 1:
            assert len(calls) <= calls[0].limits.max_parallel_calls, "more calls than the limit allows"
            for call in calls:
                facts = BY_NAME[call.pin.name]
                is_read = facts.idempotency is Idempotency.SAFE and facts.risk is RiskClass.READ
                assert is_read, f"{call.pin.name} is no read, and not alone"
        waits = [effect for effect in effects if isinstance(effect, Wait)]
        assert len(waits) <= 1, "two timers"
        run = state.run
        if len(effects) == len(waits) and run is not None and run.status not in _SOMEBODY:
            # The wall-clock limit is no answer: it would end a run that nobody goes on with.
            asleep = run.retry_at is not None or run.sleeps_until is not None
            assert asleep, f"a run that is {run.status} waits for nothing"


def _call(event: Event) -> str:
    return str(event.payload["nodeId"])


def _intents(events: Sequence[Event]) -> set[str]:
    found: set[str] = set()
    for event in events:
        payload: Any = event.payload
        if event.type is EventType.EFFECT_INTENDED:
            found.add(payload["effectId"])
        elif event.type is EventType.AHEAD_INTENDED:
            found |= {call["effectId"] for call in payload["calls"]}
    return found


def _orders_again(given: Input) -> bool:
    if not isinstance(given, CommandArrived) or given.command.kind is not CommandKind.RESOLVE:
        return False
    return getattr(given.command.payload, "resolution", None) is Resolution.RETRY


def _stored(event: Event) -> Event:
    return Event(
        session_id=event.session_id,
        seq=event.seq,
        type=EventType(event.type.value),
        visibility=event.visibility,
        at=event.at,
        run_id=event.run_id,
        payload=orjson.loads(orjson.dumps(event.payload)),
    )
