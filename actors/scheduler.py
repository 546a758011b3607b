"""A process that sends scheduled jobs when they are due. Plain; `actors.classes` makes an actor of it.

Any number may run: what keeps an occurrence from being sent twice is the transaction that sends it.
"""

from __future__ import annotations

import asyncio

import structlog

from planvault.settings import Settings
from planvault.wiring import open_dispatcher

_log = structlog.get_logger(__name__)

POLL_S = 1.0  # a job that was made a moment ago is due at most this much late
_PAUSE_S = 2.0  # after a fault of ours, and while the database is away


class Scheduler:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.run())

    async def drain(self) -> None:
        """Stop; a transaction under way is rolled back, and its jobs are another scheduler's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def run(self) -> None:
        """Until cancelled. Opens its own pools, and closes them."""
        while True:
            try:
                await self._serve()
            # The process must outlive a lost database and our own mistakes; the cause is in the log.
            except Exception:  # noqa: BLE001
                _log.exception("scheduler.interrupted")
            await asyncio.sleep(_PAUSE_S)

    async def _serve(self) -> None:
        async with open_dispatcher(self._settings) as dispatcher:
            while True:
                while await dispatcher.dispatch_due():
                    pass
                await asyncio.sleep(await dispatcher.idle_s(POLL_S))
