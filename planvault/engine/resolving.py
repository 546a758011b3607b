"""What operators decide where a run cannot go on: an unknown outcome, a credential that does not work."""

from __future__ import annotations

from models.audit import AuditAction
from models.commands import Action, Command, Resolution
from models.events import EventType
from models.runs import RunStatus
from models.tools import ToolSucceeded
from planvault.engine.calls import attempt, mark_done
from planvault.engine.lifecycle import fail
from planvault.engine.pauses import Reauth
from planvault.engine.recorder import Recorder
from planvault.engine.state import Recovery


def resolve(rec: Recorder, command: Command, action: Action) -> None:
    run = rec.run
    if run.recovery is not None:
        _recovery(rec, command, action, run.recovery)
    elif run.reauth is not None:
        _reauth(rec, command, action, run.reauth)
    else:
        rec.refuse(command, f"the run is {run.status.value}, nothing needs recovery")


def credentials_changed(rec: Recorder, action: Action) -> None:
    """Call again what was not let in. Where it is on its way just now, its refusal is not the last word."""
    if rec.state.run is None:
        return
    rec.emit(EventType.CREDENTIALS_CHANGED, {"runId": rec.run.name, "actor": action.actor})
    if rec.run.reauth is not None:
        _call_again(rec)


def _recovery(rec: Recorder, command: Command, action: Action, asked: Recovery) -> None:
    match action.resolution:
        case Resolution.MARK_DONE:
            _audit(rec, action, asked.tool)
            mark_done(rec, ToolSucceeded(value=action.result))
        case Resolution.RETRY if rec.run.is_ending:
            why = "was cancelled" if rec.run.cancel_requested else "has used up its time"
            rec.refuse(command, f"the run {why} and sends nothing more; mark_done or fail puts its end on record")
        case Resolution.RETRY if rec.now < asked.not_before:
            rec.refuse(command, f"a retry opens at {asked.not_before.isoformat()}: the first may still arrive")
        case Resolution.RETRY:
            _audit(rec, action, asked.tool)
            _call_again(rec)
        case Resolution.FAIL:
            _audit(rec, action, asked.tool)
            fail(rec, "RECOVERY_FAILED", action.reason or f"An operator ended the run after {asked.tool}.")
        case None:
            rec.refuse(command, "a resolution is needed: mark_done, retry or fail")


def _reauth(rec: Recorder, command: Command, action: Action, asked: Reauth) -> None:
    """Nothing was executed, so there is no result that could be marked as done."""
    match action.resolution:
        case Resolution.RETRY:
            _audit(rec, action, asked.tool)
            _call_again(rec)
        case Resolution.FAIL:
            _audit(rec, action, asked.tool)
            fail(rec, "REAUTH_FAILED", action.reason or f"An operator ended the run: {asked.message}")
        case _:
            rec.refuse(command, f"{asked.tool} was not let in, so there is nothing to mark as done: retry or fail")


def _audit(rec: Recorder, action: Action, tool: str) -> None:
    """The word of the operator, before it takes effect. What a call is said to have answered stays in the journal."""
    resolution = None if action.resolution is None else action.resolution.value
    told = {"actor": action.actor, "resolution": resolution, "reason": action.reason, "tool": tool}
    rec.audit(AuditAction.RUN_RESOLVED, {"runId": rec.run.name, **told})


def _call_again(rec: Recorder) -> None:
    rec.status(RunStatus.EXECUTING)
    attempt(rec, rec.run.attempt + 1)
