"""The worker's loop: woken by a notification, outliving a lost embedder."""

import asyncio
import json
import time

import pytest

from actors import catalog_worker
from actors.catalog_worker import CatalogWorker
from models.tools import ImportStatus
from planvault.net.client import GuardedHttp
from planvault.settings import Settings
from planvault.storage.pool import Pool
from retrieval.embedding import EMBEDDING_MODEL
from tests.integration.ingestion.importing import CountingEmbedder, Desk, open_desk

pytestmark = pytest.mark.postgres
DOCUMENT = json.dumps({"openapi": "3.0.0", "info": {}, "paths": {"/a": {"get": {"operationId": "a"}}}})


async def ended(desk: Desk, import_id: object) -> ImportStatus:
    """The import's status once it has ended; polled, at most twenty seconds."""
    async with asyncio.timeout(20):
        while True:
            job = await desk.job(import_id)
            if job.finished_at is not None:
                return job.status
            await asyncio.sleep(0.02)


async def test_imports_run_as_they_are_asked_for(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_worker, "_POLL_S", 60.0)  # only the notification can be quick
    desk = await open_desk(pool, GuardedHttp())
    worker = CatalogWorker(Settings(database_url=database_url), CountingEmbedder())
    running = asyncio.create_task(worker.run())
    try:
        first = await desk.queue(await desk.integration("one"), DOCUMENT)
        assert await ended(desk, first) is ImportStatus.COMPLETED
        started = time.monotonic()
        second = await desk.queue(await desk.integration("two"), DOCUMENT)
        assert await ended(desk, second) is ImportStatus.COMPLETED
        assert time.monotonic() - started < 20
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_a_fault_of_ours_does_not_end_the_worker(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_worker, "_PAUSE_S", 0.05)
    desk = await open_desk(pool, GuardedHttp())
    embedder = CountingEmbedder(fail_after=0)
    running = asyncio.create_task(CatalogWorker(Settings(database_url=database_url), embedder).run())
    try:
        import_id = await desk.queue(await desk.integration(), DOCUMENT)
        async with asyncio.timeout(20):
            while (await desk.job(import_id)).status is not ImportStatus.EMBEDDING:
                await asyncio.sleep(0.02)
        embedder.fail_after = None
        await pool.execute("UPDATE imports SET leased_until = now() WHERE id = $1", import_id)
        assert await ended(desk, import_id) is ImportStatus.COMPLETED
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_tools_from_before_there_were_groups_are_grouped_when_the_worker_starts(
    pool: Pool, database_url: str
) -> None:
    desk = await open_desk(pool, GuardedHttp())
    integration_id = await desk.integration()
    await desk.run(integration_id, json.loads(DOCUMENT))
    await pool.execute("UPDATE tool_index SET embedding_model = $1", EMBEDDING_MODEL)
    groups = "SELECT count(*) FROM tool_group_centroids WHERE integration_id = $1"
    await pool.execute("DELETE FROM tool_group_centroids WHERE integration_id = $1", integration_id)
    await pool.execute("DELETE FROM tool_group_progress WHERE integration_id = $1", integration_id)
    running = asyncio.create_task(CatalogWorker(Settings(database_url=database_url), CountingEmbedder()).run())
    try:
        async with asyncio.timeout(20):
            while not await pool.fetchval(groups, integration_id):
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.wait({running})
