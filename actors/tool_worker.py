"""A process that looks into large results for session hosts. Plain; `actors.classes` makes an actor of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog

from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.errors import Unavailable
from planvault.settings import Settings
from planvault.storage.blobs import Blobs
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Role, is_away, open_pool
from planvault.tools.worker import ResultReader

_log = structlog.get_logger(__name__)

_SWEEP_S = 600.0
# Far longer than any call takes from its first byte to the commit of its result.
_ORPHANS_AFTER = timedelta(days=1)
_FRAGMENTS_AFTER = timedelta(days=1)


class ToolWorker:
    """Runs jobs one at a time, and now and then deletes blobs that nobody references."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._parts: tuple[Blobs, ResultReader] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
        await self._stack.aclose()

    async def run(self, job: bytes) -> bytes:
        """A job of `models.results` and its answer, as JSON. Raises Unavailable while the database is away."""
        try:
            _, reader = await self._open()
            return await reader.run(job)
        except Exception as fault:
            if not is_away(fault):
                raise
            raise Unavailable(f"The database does not answer ({type(fault).__name__}).") from fault

    async def _open(self) -> tuple[Blobs, ResultReader]:
        async with self._opening:
            if self._parts is None:
                pool = await self._stack.enter_async_context(
                    await open_pool(
                        self._settings.platform_url,
                        name="tool-worker",
                        maximum=2,
                        command_timeout_s=30.0,
                        role=Role.TENANT,
                    )
                )
                ids = TimeOrderedIds()
                keyring = PostgresKeyring(pool, key_providers(self._settings), ids)
                blobs = Blobs(pool, keyring, ids)
                self._parts = (blobs, ResultReader(blobs, keyring))
            return self._parts

    async def _sweep(self) -> None:
        while True:
            try:
                blobs, _ = await self._open()
                while swept := await blobs.sweep(_ORPHANS_AFTER, _FRAGMENTS_AFTER):
                    _log.info("blobs.swept", count=swept)
            # The database is away, or something else is wrong: the next round looks again.
            except Exception as fault:  # noqa: BLE001
                _log.warning("blobs.not_swept", cause=repr(fault))
            await asyncio.sleep(_SWEEP_S)
