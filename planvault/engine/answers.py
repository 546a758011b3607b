"""What people say to a run: approve, reject, fill slots, cancel, resolve."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.commands import Action, Command, CommandKind, Message
from models.events import EventType
from models.runs import RunStatus
from planvault.engine.approvals import approve, reject
from planvault.engine.lifecycle import cancel, cancel_queued
from planvault.engine.planning import ask_approval, hash_of
from planvault.engine.questions import QuestionKind
from planvault.engine.recorder import Recorder
from planvault.engine.resolving import credentials_changed, resolve
from planvault.engine.slots import fill

_Rule = Callable[[Recorder, Command, Action], None]


def answered(rec: Recorder, command: Command, action: Action) -> None:
    """Apply an action to the active run, or record why it does not apply."""
    run = rec.state.run
    if command.kind is CommandKind.CREDENTIALS_CHANGED:
        credentials_changed(rec, action)
    elif run is None:
        rec.refuse(command, "no run is active")
    elif command.kind is CommandKind.CANCEL and (queued := _queued(rec, action)) is not None:
        cancel_queued(rec, queued, action.reason or "cancelled by request")
    elif action.run_id is not None and action.run_id != run.run_id:
        rec.refuse(command, f"run {action.run_id} is not the active one")
    else:
        _RULES[command.kind](rec, command, action)


def _votes(kind: QuestionKind, say: Callable[[Recorder, Command, Action, QuestionKind], None]) -> _Rule:
    return lambda rec, command, action: say(rec, command, action, kind)


def _fill_slots(rec: Recorder, command: Command, action: Action) -> None:
    run = rec.run
    if run.status is not RunStatus.AWAITING_SLOTS or run.plan is None:
        rec.refuse(command, f"the run is {run.status.value}, no slots are open")
        return
    filled = fill(run.plan.slots, action.values)
    if filled.errors:
        rec.refuse(command, "; ".join(f"{error.pointer}: {error.detail}" for error in filled.errors))
        return
    plan_hash = hash_of(run.plan, run.facts.values(), filled.values)
    rec.emit(EventType.SLOTS_FILLED, {"values": filled.values, "actor": action.actor, "planHash": plan_hash})
    ask_approval(rec)


def _cancel_slots(rec: Recorder, command: Command, action: Action) -> None:
    if rec.run.status is not RunStatus.AWAITING_SLOTS:
        rec.refuse(command, f"the run is {rec.run.status.value}, no slots are open")
        return
    rec.emit(EventType.SLOTS_CANCELLED, {"runId": rec.run.name, "actor": action.actor, "reason": action.reason})
    cancel(rec, "slots cancelled")


def _queued(rec: Recorder, action: Action) -> Message | None:
    """The prompt whose run the action names, if it is still to begin."""
    return next(
        (message for message in rec.state.queue if message.run_id is not None and message.run_id == action.run_id), None
    )


def _cancel(rec: Recorder, command: Command, action: Action) -> None:
    """Stop the run. A call in flight is not erased: the run ends when its result, or its loss, is on record."""
    if rec.run.is_calling:
        rec.emit(EventType.CANCEL_REQUESTED, {"actor": action.actor, "reason": action.reason})
    else:
        cancel(rec, action.reason or "cancelled by request")


_RULES: Mapping[CommandKind, _Rule] = {
    CommandKind.APPROVE: _votes(QuestionKind.PLAN, approve),
    CommandKind.REJECT: _votes(QuestionKind.PLAN, reject),
    CommandKind.APPROVE_TOOL: _votes(QuestionKind.TOOL, approve),
    CommandKind.REJECT_TOOL: _votes(QuestionKind.TOOL, reject),
    CommandKind.FILL_SLOTS: _fill_slots,
    CommandKind.CANCEL_SLOTS: _cancel_slots,
    CommandKind.CANCEL: _cancel,
    CommandKind.RESOLVE: resolve,
}
