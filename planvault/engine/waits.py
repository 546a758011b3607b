"""Waits of a run: until when nothing happens, and what follows once that time is over.

A wait is an absolute time in the record, never a task. Where nothing is in flight the earliest of them is the run's
`wake_at`, a column: the session leaves the memory of its host, which looks for due rows (docs/pauses.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from models.runs import RunStatus
from planvault.engine.calls import resume
from planvault.engine.lifecycle import interrupt
from planvault.engine.recorder import Recorder
from planvault.engine.timers import next_timer

_EXPIRED: Mapping[RunStatus, str] = {
    RunStatus.AWAITING_CONFIRMATION: "confirmation_expired",
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
        interrupt(rec, _EXPIRED.get(run.status, "question_expired"))
    elif _has_passed(run.retry_at, rec.now):
        resume(rec)


def _has_passed(time: datetime | None, now: datetime) -> bool:
    return time is not None and time <= now
