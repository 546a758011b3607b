"""Work that a process does for as long as it lives. Plain; knows nothing of Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from planvault.errors import PlanVaultError
from planvault.storage.pool import is_away

_log = structlog.get_logger(__name__)

PAUSE_S: Final = 5.0  # while the database, a model or a key provider is away


async def keep_going(
    work: str, once: Callable[[], Awaitable[object]], poll_s: float = PAUSE_S, *, pause_s: float = PAUSE_S
) -> None:
    """Until cancelled: `once` again and again, `poll_s` seconds after it found nothing, `pause_s` after it failed.

    Pieces of work that run side by side each need their own: a task group ends all of them with the first that fails,
    and tells of a lost database in a group of exceptions that nobody recognises.
    """
    while True:
        try:
            found = await once()
        # The process must outlive a lost database and our own mistakes; what was not done is still in the rows.
        except Exception as fault:  # noqa: BLE001
            if is_away(fault) or (isinstance(fault, PlanVaultError) and fault.retryable):
                _log.warning("work.waits", work=work, cause=repr(fault))
            else:
                _log.exception("work.interrupted", work=work)
            await asyncio.sleep(pause_s)
        else:
            if not found:
                await asyncio.sleep(poll_s)
