"""What people say to a run: approve, reject, fill slots, cancel, resolve."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.commands import Action, Command, CommandKind, Resolution
from models.events import EventType
from models.runs import RunStatus
from models.tools import ToolSucceeded
from planvault.engine.calls import attempt, mark_done
from planvault.engine.lifecycle import cancel, fail
from planvault.engine.planning import ask_approval, begin, hash_of
from planvault.engine.recorder import Recorder
from planvault.engine.slots import fill

_Rule = Callable[[Recorder, Command, Action], None]


def answered(rec: Recorder, command: Command, action: Action) -> None:
    """Apply an action to the active run, or record why it does not apply."""
    run = rec.state.run
    if run is None:
        rec.refuse(command, "no run is active")
    elif action.run_id is not None and action.run_id != run.run_id:
        rec.refuse(command, f"run {action.run_id} is not the active one")
    else:
        _RULES[command.kind](rec, command, action)


def _approve(rec: Recorder, command: Command, action: Action) -> None:
    run = rec.run
    if run.status is not RunStatus.AWAITING_CONFIRMATION:
        rec.refuse(command, f"the run is {run.status.value}, no plan waits for approval")
    elif action.plan_hash is not None and action.plan_hash != run.plan_hash:
        rec.refuse(command, "the approval is for another plan than the one that waits")
    else:
        _confirm(rec, action, approved=True)
        begin(rec)


def _reject(rec: Recorder, command: Command, action: Action) -> None:
    if rec.run.status is not RunStatus.AWAITING_CONFIRMATION:
        rec.refuse(command, f"the run is {rec.run.status.value}, no plan waits for approval")
        return
    _confirm(rec, action, approved=False)
    cancel(rec, "plan rejected")


def _confirm(rec: Recorder, action: Action, *, approved: bool) -> None:
    rec.emit(
        EventType.CONFIRM_PLAN_RESULT,
        {
            "runId": str(rec.run.run_id),
            "approved": approved,
            "approvalSource": "human",
            "actor": action.actor,
            "reason": action.reason,
            "planHash": rec.run.plan_hash,
        },
    )


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
    rec.emit(EventType.SLOTS_CANCELLED, {"runId": str(rec.run.run_id), "actor": action.actor, "reason": action.reason})
    cancel(rec, "slots cancelled")


def _cancel(rec: Recorder, command: Command, action: Action) -> None:
    """Stop the run. A call in flight is not erased: the run ends when its result, or its loss, is on record."""
    if rec.run.is_calling:
        rec.emit(EventType.CANCEL_REQUESTED, {"actor": action.actor, "reason": action.reason})
    else:
        cancel(rec, action.reason or "cancelled by request")


def _resolve(rec: Recorder, command: Command, action: Action) -> None:
    run = rec.run
    if run.status is not RunStatus.NEEDS_MANUAL_RECOVERY or run.recovery is None:
        rec.refuse(command, f"the run is {run.status.value}, nothing needs recovery")
        return
    match action.resolution:
        case Resolution.MARK_DONE:
            mark_done(rec, ToolSucceeded(value=action.result))
        case Resolution.RETRY if rec.now < run.recovery.not_before:
            rec.refuse(command, f"a retry opens at {run.recovery.not_before.isoformat()}: the first may still arrive")
        case Resolution.RETRY:
            rec.status(RunStatus.EXECUTING)
            attempt(rec, run.attempt + 1)
        case Resolution.FAIL:
            fail(rec, "RECOVERY_FAILED", action.reason or f"An operator ended the run after {run.recovery.tool}.")
        case None:
            rec.refuse(command, "a resolution is needed: mark_done, retry or fail")


_RULES: Mapping[CommandKind, _Rule] = {
    CommandKind.APPROVE: _approve,
    CommandKind.REJECT: _reject,
    CommandKind.FILL_SLOTS: _fill_slots,
    CommandKind.CANCEL_SLOTS: _cancel_slots,
    CommandKind.CANCEL: _cancel,
    CommandKind.RESOLVE: _resolve,
}
