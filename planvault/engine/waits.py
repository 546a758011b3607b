"""What follows when a time that a run waits for has come.

A wait is an absolute time in the record, never a task. Where nothing is in flight the earliest of them is the run's
`wake_at`, a column: the session leaves the memory of its host, which looks for due rows (docs/pauses.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from models.events import EventType
from models.runs import RunStatus
from models.tools import ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine import signals
from planvault.engine.approvals import approval_expired
from planvault.engine.calls import called, end_overdue, follow, record, resume
from planvault.engine.lifecycle import interrupt
from planvault.engine.recorder import Recorder
from planvault.engine.rules import standing
from planvault.engine.scout import is_read
from planvault.engine.timers import next_timer, wall_clock_end

_EXPIRED: Mapping[RunStatus, str] = {
    RunStatus.AWAITING_SLOTS: "slots_expired",
    RunStatus.AWAITING_REAUTH: "reauth_expired",
}


def timer_fired(rec: Recorder) -> None:
    """Whatever of the run is due now. Nothing, where the clock was set back meanwhile: the wait stands."""
    run = rec.state.run
    due = next_timer(rec.state)
    if run is None or due is None or due > rec.now:
        return
    if _has_passed(run.expires_at, rec.now):
        _expire(rec, run.status)
    elif _has_passed(run.sleeps_until, rec.now):
        _wake(rec)
    elif _has_passed(wall_clock_end(run), rec.now):
        _stop(rec)
    elif _has_passed(run.retry_at, rec.now):
        resume(rec)
    else:
        signals.close(rec)


def _expire(rec: Recorder, status: RunStatus) -> None:
    if status is RunStatus.AWAITING_CONFIRMATION:
        approval_expired(rec)
    else:
        interrupt(rec, _EXPIRED.get(status, "question_expired"))


def _wake(rec: Recorder) -> None:
    rec.show(None)
    called(rec, ToolSucceeded())


def _stop(rec: Recorder) -> None:
    """The wall-clock limit. A read on its way is given up; any other call is waited for, since it has an effect."""
    run = rec.run
    rec.emit(EventType.DEADLINE_PASSED, {"runId": run.name})
    if run.intent is None or run.intent.kind != "call":
        end_overdue(rec)
    elif is_read(run.facts, standing(run).node):
        message = "The run's time was over before the service answered."
        outcome = ToolFailed(failure=ToolCallFailure.UNKNOWN, code="ABANDONED", message=message)
        record(rec, outcome, {"next": "fail", "code": "LIMIT_WALL_CLOCK", "message": message})
        follow(rec)


def _has_passed(time: datetime | None, now: datetime) -> bool:
    return time is not None and time <= now
