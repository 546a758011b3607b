"""A scheduler process is killed with -9 around its commit; the next one does what is left, and nothing twice."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.scheduling.conftest import Desk


async def scheduler(point: str, database_url: str, keys: Path) -> int:
    """Exit status of one scheduler that sends what is due, dying at `point`."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "PLANVAULT_KEYSET_PATH": str(keys / "keyset.json"),
        "PLANVAULT_DATA_DIR": str(keys),
        "PLANVAULT_SHARDS": "8",
    }
    module = "tests.integration.scheduling.dying_scheduler"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, point, env=environment)
    return await asyncio.wait_for(process.wait(), 60)


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
