"""When a run must be looked at again although nobody says anything."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.runs import RunStatus
from planvault.engine.state import RunState, SessionState


def next_timer(state: SessionState) -> datetime | None:
    """The earliest time at which TimerFired changes something; None where only an answer can."""
    run = state.run
    return None if run is None else min((time for time in _times(run) if time is not None), default=None)


def wake_at(state: SessionState) -> datetime | None:
    """The same while nothing is in flight: until then the run needs no memory. None: it needs its host, or nobody.

    A wait that is being closed stays due: its status is one of waiting, so that only its time brings it back where the
    host dies before its token's row has answered.
    """
    run = state.run
    if run is not None and run.signal is not None and run.intent is not None and run.intent.kind == "close_signal":
        return run.signal.expires_at
    in_flight = run is not None and (run.intent is not None or run.is_reading_ahead)
    return None if in_flight else next_timer(state)


def wall_clock_end(run: RunState) -> datetime | None:
    """When the run's wall-clock limit is reached. None while it does not run: somebody is asked, or it was reached."""
    if run.settings is None or run.asked_at is not None or run.overdue or run.status is RunStatus.QUEUED:
        return None
    return run.started_at + run.waited + timedelta(seconds=run.settings.limits.max_wall_clock_s)


def _times(run: RunState) -> tuple[datetime | None, ...]:
    signal = run.signal if run.intent is None else None
    return (
        wall_clock_end(run),
        run.expires_at,
        run.retry_at,
        run.sleeps_until,
        None if signal is None or signal.closed else signal.expires_at,
    )
