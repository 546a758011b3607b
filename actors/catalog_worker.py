"""A process that runs catalog imports. Plain; `actors.classes` makes an actor of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from planvault.clock import TimeOrderedIds
from planvault.ingestion.bulk.runner import BulkImporter, RunsJobs
from planvault.ingestion.entries import remake_entries
from planvault.ingestion.worker import CatalogImporter, ImporterOptions
from planvault.net.ceiling import ceiling_of
from planvault.net.client import GuardedHttp
from planvault.ports import Embedder
from planvault.settings import Settings
from planvault.storage.catalog_imports import CHANNEL
from planvault.storage.listen import listen
from planvault.storage.pool import Pool, Role, open_pool
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.groups.upkeep import GroupKeeper

_log = structlog.get_logger(__name__)

_POLL_S = 1.0  # a floor: notifications are hints
_HEAL_EVERY_S = 30.0  # entries and groups follow each import by themselves; this finds what was left behind
_PAUSE_S = 2.0  # after a fault of ours, which the same import may meet again when its lease has run out


class CatalogWorker:
    """Claims and runs imports until it is stopped; an import that it leaves behind is claimed by the next worker.

    `jobs`: who does the work of bulk imports; None leaves them to other workers. They go on beside single imports,
    which nobody should have to wait for.
    """

    def __init__(self, settings: Settings, embedder: Embedder, jobs: RunsJobs | None = None) -> None:
        self._settings = settings
        self._embedder = embedder
        self._jobs = jobs
        self._woken: list[asyncio.Event] = []

    async def run(self) -> None:
        """Until cancelled. Opens its own pool and client, and closes them."""
        while True:
            try:
                await self._serve()
            # The process must outlive a lost database and our own mistakes; the cause is in the log.
            except Exception:  # noqa: BLE001
                _log.exception("catalog_worker.interrupted")
            await asyncio.sleep(_PAUSE_S)

    async def _serve(self) -> None:
        pool = await open_pool(self._settings.platform_url, name="catalog", maximum=4, role=Role.PLATFORM)
        http = GuardedHttp(ceiling=ceiling_of(self._settings))
        tasks = [asyncio.create_task(listen(self._settings.platform_url, CHANNEL, lambda _: self._wake()))]
        try:
            await self._work(pool, http, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await http.aclose()
            await pool.close()

    async def _work(self, pool: Pool, http: GuardedHttp, tasks: list[asyncio.Task[None]]) -> None:
        options = ImporterOptions(embedding_model=EMBEDDING_MODEL, batch=self._settings.embedding_batch)
        importer = CatalogImporter(pool, http, self._embedder, TimeOrderedIds(), options)
        tasks.append(asyncio.create_task(_heal(pool, GroupKeeper(pool, TimeOrderedIds(), EMBEDDING_MODEL))))
        tasks.append(asyncio.create_task(self._repeat(importer.run_one)))
        if self._jobs is not None:
            tasks.append(asyncio.create_task(self._repeat(BulkImporter(pool, self._jobs).run_one)))
        await asyncio.gather(*tasks)

    async def _repeat(self, run_one: Callable[[], Awaitable[bool]]) -> None:
        """Until cancelled: whatever waits, one after the other. A failing import does not end its neighbours."""
        woken = asyncio.Event()
        self._woken.append(woken)
        try:
            while True:
                woken.clear()
                try:
                    while await run_one():
                        pass
                # Ours or the database's: the same import is claimed again when its lease has run out.
                except Exception:  # noqa: BLE001
                    _log.exception("catalog_worker.interrupted")
                    await asyncio.sleep(_PAUSE_S)
                await _wait(woken)
        finally:
            self._woken.remove(woken)

    def _wake(self) -> None:
        for woken in self._woken:
            woken.set()


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_POLL_S):
            await woken.wait()
    except TimeoutError:
        return


async def _heal(pool: Pool, groups: GroupKeeper) -> None:
    """Make index rows of older rules anew, and group what has no groups yet or old ones: first of all the tools from
    before there were such rows and groups."""
    while True:
        try:
            await remake_entries(pool)
            await groups.heal()
        # Imports go on without it; the cause is in the log.
        except Exception:  # noqa: BLE001
            _log.exception("catalog_worker.not_healed")
        await asyncio.sleep(_HEAL_EVERY_S)
