"""When a run must be looked at again although nobody says anything."""

from __future__ import annotations

from datetime import datetime

from planvault.engine.state import SessionState


def next_timer(state: SessionState) -> datetime | None:
    """The earliest time at which TimerFired changes something; None where only an answer can."""
    run = state.run
    if run is None:
        return None
    return min((time for time in (run.expires_at, run.retry_at) if time is not None), default=None)


def wake_at(state: SessionState) -> datetime | None:
    """The same while nothing is in flight: until then the run needs no memory. None: it needs its host, or nobody."""
    run = state.run
    in_flight = run is not None and (run.intent is not None or run.is_reading_ahead)
    return None if in_flight else next_timer(state)
