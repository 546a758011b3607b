"""A scheduler process is killed with -9 around its commit; the next one does what is left, and nothing twice."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.runtime.harness import eventually
from tests.integration.scheduling.conftest import Desk


async def start(point: str, database_url: str, keys: Path) -> asyncio.subprocess.Process:
    """One scheduler that sends what is due, and dies at `point`."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "PLANVAULT_KEYSET_PATH": str(keys / "keyset.json"),
        "PLANVAULT_DATA_DIR": str(keys),
        "PLANVAULT_SHARDS": "8",
    }
    module = "tests.integration.scheduling.dying_scheduler"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, point, env=environment, stderr=asyncio.subprocess.DEVNULL
    )


async def scheduler(point: str, database_url: str, keys: Path) -> int:
    """Its exit status."""
    return await asyncio.wait_for((await start(point, database_url, keys)).wait(), 60)


@pytest.mark.parametrize(("point", "sent"), [("before_commit", 0), ("after_commit", 3)])
async def test_whoever_dies_around_the_commit_leaves_all_or_nothing_and_nothing_is_sent_twice(
    desk: Desk, database_url: str, keys: Path, point: str, sent: int
) -> None:
    """Three jobs of one transaction: one session each, one message each, whatever the first process did."""
    made = [await desk.book(prompt=f"job {number}", secrets={"TOKEN": "value"}) for number in range(3)]
    assert await scheduler(point, database_url, keys) == -signal.SIGKILL
    assert await desk.messages() == sent
    assert await desk.pool.fetchval("SELECT count(*) FROM sessions") == sent
    assert await scheduler("never", database_url, keys) == 0
    assert await desk.messages() == 3
    assert await desk.pool.fetchval("SELECT count(*) FROM sessions") == 3
    assert [(await desk.job(one)).status for one in made] == ["dispatched"] * 3


async def test_a_scheduler_that_freezes_before_its_commit_is_ended_by_the_database_and_cannot_commit_later(
    desk: Desk, database_url: str, keys: Path
) -> None:
    await desk.book()
    frozen = await start("frozen", database_url, keys)
    try:
        await eventually(lambda: _held(desk, 1), patience_s=60, what="a dispatch that stands still")
        assert await desk.send_all() == 0  # it holds the job
        await eventually(lambda: _held(desk, 0), what="the end of its transaction")
        assert await desk.send_all() == 1
        frozen.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(frozen.wait(), 30) == 1
    finally:
        if frozen.returncode is None:
            frozen.kill()
    assert await desk.messages() == 1
    assert await desk.pool.fetchval("SELECT count(*) FROM sessions") == 1


async def _held(desk: Desk, transactions: int) -> bool:
    """How many transactions of schedulers are open and idle."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'planvault/scheduler'"
        " AND datname = current_database() AND state = 'idle in transaction' AND query LIKE '%INSERT INTO commands%'"
    )
    return bool(await desk.pool.fetchval(sql) == transactions)
