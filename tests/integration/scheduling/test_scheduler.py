"""Scheduler processes side by side, as two clusters run them during an upgrade, on a database that comes and goes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.scheduler import Scheduler
from models.ids import JobId
from models.schedules import JobStatus
from planvault.settings import Settings
from tests.integration.runtime.harness import eventually
from tests.integration.scheduling.conftest import SHARDS, Desk


@pytest.fixture
async def schedulers(desk: Desk, database_url: str, keys: Path) -> AsyncIterator[list[Scheduler]]:
    """Two at once."""
    settings = Settings(database_url=database_url, keyset_path=keys / "keyset.json", shards=SHARDS)
    running = [Scheduler(settings) for _ in range(2)]
    for scheduler in running:
        scheduler.start()
    yield running
    for scheduler in running:
        await scheduler.drain()


async def test_two_schedulers_send_each_job_once_and_go_on_when_their_connections_are_cut(
    desk: Desk, schedulers: list[Scheduler]
) -> None:
    first = [await desk.book(prompt=f"job {number}") for number in range(5)]
    await eventually(lambda: _sent(desk, first), what="the first jobs")
    await desk.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'planvault/scheduler%' AND datname = current_database()"
    )
    second = [await desk.book(prompt=f"job {number}") for number in range(5, 10)]
    await eventually(lambda: _sent(desk, second), what="the jobs after the cut")
    assert await desk.messages() == 10


async def test_a_drained_scheduler_sends_nothing_more(desk: Desk, schedulers: list[Scheduler]) -> None:
    await schedulers[0].drain()
    await schedulers[1].drain()
    await desk.book()
    idle = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'planvault/scheduler%'"
    await eventually(lambda: desk.pool.fetchval(f"{idle} AND datname = current_database()"), what="closed pools")
    assert await desk.messages() == 0


async def _sent(desk: Desk, made: list[JobId]) -> bool:
    return all([(await desk.job(one)).status is JobStatus.DISPATCHED for one in made])
