"""A bulk import on a real Ray: its pipelines, and what is left of it when its processes are killed."""

import asyncio
import os
from collections.abc import AsyncIterator

import psutil
import pytest
import ray

from actors.job_process import JobProcesses
from models.bulk_imports import BulkStatus
from planvault.errors import Unavailable
from planvault.ingestion.bulk.prepare import PORTION_BYTES
from planvault.ingestion.bulk.runner import BulkImporter
from planvault.storage import bulk_imports
from planvault.storage.pool import Pool, open_pool, transaction
from tests.integration.ingestion.bulk import Folder, document, open_folder
from tests.integration.runtime.harness import eventually

pytestmark = pytest.mark.ray

DRIVER = "tests.cluster.bulk_driver"
DOCUMENTS = {f"{name}.json": document(*(f"{name}{number}" for number in range(20))) for name in "abcd"}


@pytest.fixture
async def folder(local_ray: None, database_url: str) -> AsyncIterator[Folder]:
    pool = await open_pool(database_url, name="test", maximum=6)
    yield await open_folder(pool)
    await pool.close()


@pytest.fixture
def jobs(database_url: str, monkeypatch: pytest.MonkeyPatch) -> JobProcesses:
    """As the catalog worker has them, in the environment of this test's database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return JobProcesses(("-m", DRIVER, ray.get_runtime_context().gcs_address))


async def test_a_job_runs_to_its_end_and_again_changes_nothing(folder: Folder, jobs: JobProcesses) -> None:
    importer = BulkImporter(folder.pool, jobs)
    job_id = await folder.queue({**DOCUMENTS, "broken.json": "{"})
    assert await importer.run_one()
    job = await folder.job(job_id)
    assert (job.status, job.documents.stored, job.documents.refused) == (BulkStatus.COMPLETED, 4, 1)
    assert (job.operations.created, job.to_embed, job.embedded) == (80, 80, 80)
    assert set(job.timings) == {"documents", "embedding", "groups"}
    assert await without_vector(folder.pool) == 0
    tools = await folder.tools()
    again = await folder.queue(DOCUMENTS)
    assert await importer.run_one()
    assert ((await folder.job(again)).documents.unchanged, (await folder.job(again)).to_embed) == (4, 0)
    assert await folder.tools() == tools
    assert not await importer.run_one()


@pytest.mark.faults
async def test_a_killed_job_is_finished_by_the_next_claim(folder: Folder, jobs: JobProcesses) -> None:
    importer = BulkImporter(folder.pool, jobs, lease_s=3.0)
    job_id = await folder.queue(LARGE)
    await folder.pool.execute(SLOW)  # so that there is an in between
    try:
        running = asyncio.ensure_future(importer.run_one())

        async def some_are_stored() -> bool:
            return 0 < (await folder.job(job_id)).documents.stored < 4

        await eventually(some_are_stored, patience_s=60, what="the first stored document")
        kill(DRIVER)
        with pytest.raises(Unavailable):
            await running
    finally:
        await folder.pool.execute(FAST)
    before = await folder.tools()
    assert (await folder.job(job_id)).status is BulkStatus.RUNNING

    async def claimed_again() -> bool:
        return await importer.run_one()

    await eventually(claimed_again, patience_s=60, what="the lease's end")
    job = await folder.job(job_id)
    assert (job.status, job.attempts, job.embedded) == (BulkStatus.COMPLETED, 2, 80)
    assert (await folder.tools()).items() >= before.items()
    assert await without_vector(folder.pool) == 0


@pytest.mark.faults
async def test_a_cancelled_job_s_processes_end(folder: Folder, jobs: JobProcesses) -> None:
    importer = BulkImporter(folder.pool, jobs, lease_s=3.0)
    before = {process.pid for process in named(DRIVER)}
    job_id = await folder.queue(DOCUMENTS)
    running = asyncio.ensure_future(importer.run_one())

    async def started() -> bool:
        return any(process.pid not in before for process in named(DRIVER))

    await eventually(started, patience_s=60, what="the job's process")
    async with transaction(folder.pool) as connection:
        await bulk_imports.cancel_job(connection, folder.org, job_id)
    assert await running

    async def gone() -> bool:
        return not named(DRIVER)

    await eventually(gone, patience_s=60, what="the end of the job's process")
    assert (await folder.job(job_id)).status is BulkStatus.CANCELLED


# A portion is a transaction; documents of this size are portions of their own, and one of them waits.
LARGE = {path: {**one, "x-padding": " " * PORTION_BYTES} for path, one in DOCUMENTS.items()}
SLOW = """
CREATE FUNCTION wait_a_little() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.alias = 'c' AND new.status = 'stored' THEN PERFORM pg_sleep(4); END IF;
    RETURN new;
END $$;
CREATE TRIGGER wait_a_little BEFORE UPDATE ON bulk_import_documents FOR EACH ROW EXECUTE FUNCTION wait_a_little();
"""
FAST = "DROP FUNCTION IF EXISTS wait_a_little() CASCADE"


async def without_vector(pool: Pool) -> int:
    count = await pool.fetchval("SELECT count(*) FROM tool_index WHERE active AND embedding IS NULL")
    return int(count)


def named(name: str) -> list[psutil.Process]:
    """Processes of this test's Ray, which are this process's descendants."""
    found = psutil.Process(os.getpid()).children(recursive=True)
    return [process for process in found if process.is_running() and name in " ".join(process.cmdline())]


def kill(name: str) -> None:
    for process in named(name):
        process.kill()
