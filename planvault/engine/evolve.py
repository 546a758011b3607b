"""evolve(state, event) → state. The only place where state changes; replaying a record is folding this over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from models.commands import Message
from models.events import Event, EventType
from models.ids import MessageId, RunId
from models.planning import PlanProblem
from models.plans import Plan
from models.results import FragmentRefused
from models.runs import RunStatus
from models.tools import ToolFailed, ToolSucceeded
from models.values import Value
from planvault.engine.ahead_fold import ahead_intended, ahead_recorded, turn_comes, withdrawn
from planvault.engine.copies import replace
from planvault.engine.fragments import answer_of
from planvault.engine.machine import CallReady, Failed, FragmentReady, Machine, advance, complete_call, start
from planvault.engine.outcomes import load, value_of
from planvault.engine.overlap import overlapping
from planvault.engine.pauses_fold import (
    credentials_changed,
    deadline_passed,
    reauth_of,
    signal_closed,
    signal_kept,
    wait_begun,
)
from planvault.engine.question_fold import plan_decided, question_asked, tool_decided, voted
from planvault.engine.scout import is_read
from planvault.engine.state import Intent, Recovery, RunSettings, RunState, SessionState, ToolFacts, ToolPin
from planvault.plan.evaluate import Budget

Payload = Mapping[str, Any]  # an event's payload: JSON that `planvault.engine` itself wrote
_ASKS = frozenset(
    {
        RunStatus.AWAITING_CONFIRMATION,
        RunStatus.AWAITING_SLOTS,
        RunStatus.AWAITING_EXTERNAL_SIGNAL,
        RunStatus.AWAITING_REAUTH,
        RunStatus.NEEDS_MANUAL_RECOVERY,
    }
)


def fold(state: SessionState, events: Iterable[Event]) -> SessionState:
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: SessionState, event: Event) -> SessionState:
    """The state after the event. Events that only people read move nothing but `seq`."""
    of_run = _RUN.get(event.type)
    if of_run is not None and state.run is not None:
        return replace(state, seq=event.seq, run=of_run(state.run, event.payload, event.at))
    state = replace(state, seq=event.seq)
    of_session = _SESSION.get(event.type)
    return state if of_session is None else of_session(state, event)


# ── the session ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _prompt(state: SessionState, event: Event) -> SessionState:
    return replace(state, queue=(*state.queue, _message(event.payload, "content")))


def _run_opened(state: SessionState, event: Event) -> SessionState:
    head, *rest = state.queue
    run = RunState(
        run_id=RunId(UUID(str(event.payload["runId"]))),
        message_id=head.message_id,
        prompt=head.text,
        started_at=event.at,
        requested_by=head.operator or head.actor,
        by_plan=head.by_plan,
        requested_signed_in=head.proven,
    )
    return replace(state, queue=tuple(rest), run=run)


def _done(state: SessionState, event: Event) -> SessionState:
    """The active run's end, or that of one that was cancelled while it was queued."""
    ended = _run_id(event.payload["runId"])
    if state.run is not None and state.run.run_id == ended:
        return replace(state, run=None)
    return replace(state, queue=tuple(message for message in state.queue if message.run_id != ended))


def _session_closed(state: SessionState, event: Event) -> SessionState:
    return replace(state, closed=True)


def _snapshot(state: SessionState, event: Event) -> SessionState:
    payload: Payload = event.payload
    queue = tuple(_message(item, "text") for item in payload["queue"])
    return SessionState(scope=state.scope, seq=event.seq, closed=payload["closed"], queue=queue)


def _message(payload: Payload, text: str) -> Message:
    """Version 1 of the record did not know who sent it."""
    return Message(
        message_id=MessageId(UUID(str(payload["messageId"]))),
        text=str(payload[text]),
        actor=payload.get("actor", ""),
        operator=payload.get("operator", ""),
        run_id=_run_id(payload.get("runId")),
        by_plan=payload.get("byPlan", False),
        proven=payload.get("proven", False),
    )


def _run_id(text: object) -> RunId | None:
    return None if text is None else RunId(UUID(str(text)))


# ── the run ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run_status(run: RunState, payload: Payload, at: datetime) -> RunState:
    status = RunStatus(payload["status"])
    if payload["runId"] != run.name:
        return run  # of one that is queued behind it
    waited = run.waited if run.asked_at is None else run.waited + (at - run.asked_at)
    until = payload.get("expiresAt")  # a status without one ends what was asked before
    run = replace(
        run,
        status=status,
        waited=waited,
        asked_at=at if status in _ASKS else None,
        expires_at=None if until is None else datetime.fromisoformat(until),
        ahead=withdrawn(run.ahead) if status in _ASKS and run.ahead else run.ahead,
    )
    if run.status is RunStatus.EXECUTING and run.machine is None and run.plan is not None:
        scope = {**(run.slot_values or {}), "run_started_at": run.started_at.isoformat()}
        return _advance(run, start(run.plan, cast("dict[str, Value]", scope)))
    return run


def _effect_intended(run: RunState, payload: Payload, at: datetime) -> RunState:
    intent = Intent(effect_id=payload["effectId"], kind=payload["kind"], attempt=payload["attempt"], at=at)
    calls, ahead = run.tool_calls, bool(payload.get("ahead"))
    if intent.kind == "call":
        calls += intent.attempt if ahead else 1
        if not ahead and run.credentials_at is not None:  # this call reads what was changed before it
            run = replace(run, credentials_at=None)
    run = replace(
        run, intent=intent, attempt=intent.attempt, tool_calls=calls, retry_at=None, recovery=None, reauth=None
    )
    return turn_comes(run, intent, ahead=ahead) if run.ahead and intent.kind == "call" else run


def _effect_recorded(run: RunState, payload: Payload, at: datetime) -> RunState:
    run = replace(run, intent=None)
    match payload["kind"]:
        case "prepare":
            pins = tuple(ToolPin.model_validate(pin) for pin in payload["pins"])
            settings = RunSettings.model_validate(payload["settings"])
            return replace(run, settings=settings, pins=pins, instruction=payload.get("instruction", ""))
        case "plan":
            return _planned(run, payload)
        case "fragment":
            return _fragment_recorded(run, payload)
        case "open_signal":
            return run
        case "close_signal":
            return signal_closed(run, payload)
        case _:
            return _call_recorded(run, payload)


def _fragment_recorded(run: RunState, payload: Payload) -> RunState:
    """The node that asked goes on with the answer; where there is none, the plan fails as if the fault were its own."""
    answer = answer_of(payload["answer"])
    if run.machine is None or not isinstance(run.stop, FragmentReady):
        raise AssertionError("a fragment was recorded where the machine asked for none")
    if isinstance(answer, FragmentRefused):
        return replace(run, stop=Failed(answer.code, f"{answer.message} (node {run.stop.node_id})"))
    return _advance(run, replace(run.machine, answer=answer))


def _planned(run: RunState, payload: Payload) -> RunState:
    facts = {item.pin.name: item for item in map(ToolFacts.model_validate, payload["facts"])}
    plan = None if payload["plan"] is None else Plan.model_validate(payload["plan"])
    concurrent = plan is not None and run.settings is not None and run.settings.limits.max_parallel_calls > 1
    return replace(
        run,
        plan=plan,
        plan_hash=payload["planHash"],
        facts=facts,
        overlapping=overlapping(plan, lambda call: is_read(facts, call)) if plan and concurrent else frozenset(),
        problems=tuple(PlanProblem.model_validate(item) for item in payload["problems"]),
    )


def _call_recorded(run: RunState, payload: Payload) -> RunState:
    outcome = run.outcome if payload.get("ahead") else load(payload["result"])
    if outcome is None:
        raise AssertionError("a result that came ahead was recorded when it came")
    run = replace(run, outcome=outcome)
    match payload["next"]:
        case "settle":
            return _settle(run, outcome)
        case "retry":
            return replace(run, retry_at=datetime.fromisoformat(payload["retryAt"]))
        case "reauth":
            node = _before_call(run).node
            return replace(run, reauth=reauth_of(run, node.tool, node.id, payload))
        case "recover":
            return replace(run, recovery=_recovery(run, outcome, payload))
        case _:
            stop = Failed(payload["code"], payload["message"])
            return replace(run, stop=stop)


def _settle(run: RunState, outcome: ToolSucceeded | ToolFailed) -> RunState:
    """Bind the result (null for a failure that the plan tolerates) and run on to the next stop."""
    if run.machine is None:
        raise AssertionError("a call was recorded where no machine runs")
    machine = complete_call(run.machine, _before_call(run).node.target, value_of(outcome))
    kept = run.kept_signals
    if run.signal is not None:
        kept = {token: payload for token, payload in kept.items() if token != run.signal.token_id}
    run = replace(run, attempt=0, recovery=None, reauth=None, signal=None, sleeps_until=None, kept_signals=kept)
    return _advance(run, machine)


def _before_call(run: RunState) -> CallReady:
    if not isinstance(run.stop, CallReady):
        raise AssertionError("a call was recorded where the machine does not stand before one")
    return run.stop


def _recovery(run: RunState, outcome: ToolSucceeded | ToolFailed, payload: Payload) -> Recovery:
    stop = run.stop
    if not isinstance(stop, CallReady) or not isinstance(outcome, ToolFailed):
        raise AssertionError("only a failed call can need recovery")
    not_before = datetime.fromisoformat(payload["retryAt"])
    return Recovery(tool=stop.node.tool, node_id=stop.node.id, message=outcome.message, not_before=not_before)


def _advance(run: RunState, machine: Machine) -> RunState:
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    moved, stop = advance(machine, run.settings.limits.max_loop_iterations, Budget())
    return replace(run, machine=moved, stop=stop)


def _slots_filled(run: RunState, payload: Payload, at: datetime) -> RunState:
    return replace(run, slot_values=payload["values"], plan_hash=payload["planHash"])


def _cancel_requested(run: RunState, payload: Payload, at: datetime) -> RunState:
    return replace(run, cancel_requested=True, retry_at=None)


_SESSION: Mapping[EventType, Callable[[SessionState, Event], SessionState]] = {
    EventType.PROMPT: _prompt,
    EventType.RUN_OPENED: _run_opened,
    EventType.DONE: _done,
    EventType.SESSION_CLOSED: _session_closed,
    EventType.SNAPSHOT: _snapshot,
}

_RUN: Mapping[EventType, Callable[[RunState, Payload, datetime], RunState]] = {
    EventType.RUN_STATUS: _run_status,
    EventType.EFFECT_INTENDED: _effect_intended,
    EventType.EFFECT_RECORDED: _effect_recorded,
    EventType.AHEAD_INTENDED: ahead_intended,
    EventType.AHEAD_RECORDED: ahead_recorded,
    EventType.QUESTION_ASKED: question_asked,
    EventType.APPROVAL_VOTE: voted,
    EventType.CONFIRM_PLAN_RESULT: plan_decided,
    EventType.TOOL_APPROVAL_RESULT: tool_decided,
    EventType.WAIT_BEGUN: wait_begun,
    EventType.SIGNAL_KEPT: signal_kept,
    EventType.CREDENTIALS_CHANGED: credentials_changed,
    EventType.DEADLINE_PASSED: deadline_passed,
    EventType.SLOTS_FILLED: _slots_filled,
    EventType.CANCEL_REQUESTED: _cancel_requested,
}

FOLDED = frozenset(_SESSION) | frozenset(_RUN)
"""The events that the state is made of; all others only people read."""
