import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from planvault.errors import BringUpFailed
from planvault.storage.migrate import Migration, migrate, shipped


async def test_a_second_migration_run_applies_nothing(database_url: str) -> None:
    assert await migrate(database_url) == []


async def test_an_edited_migration_is_refused(database_url: str) -> None:
    edited = [Migration(migration.name, migration.sql + "\n-- edited") for migration in shipped()]
    with pytest.raises(BringUpFailed, match="was edited after it was applied"):
        await migrate(database_url, edited)


async def test_a_database_of_a_newer_build_is_refused(database_url: str) -> None:
    with pytest.raises(BringUpFailed, match="newer build"):
        await migrate(database_url, [])


async def test_a_failing_migration_leaves_nothing_behind(database_url: str) -> None:
    broken = Migration("9999_broken.sql", "CREATE TABLE half_made (); SELECT 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_url, [*shipped(), broken])
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT to_regclass('half_made')") is None
    finally:
        await connection.close()


CHANGE = "ALTER TABLE hosts ADD COLUMN new integer"


@asynccontextmanager
async def reader(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Somebody who reads the table, in a transaction that goes on."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.fetch("SELECT FROM hosts")
            yield connection
    finally:
        await connection.close()


async def test_nobody_waits_for_long_behind_a_migration_that_waits_for_a_long_transaction(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planvault.storage.migrate._TABLE_WAIT_MS", 100)
    monkeypatch.setattr("planvault.storage.migrate._PAUSE_S", 0.05)
    change = Migration("9999_change.sql", f"{CHANGE}; SELECT 1/0")  # the database is other tests' too
    async with reader(database_url) as watching:
        migrating = asyncio.create_task(migrate(database_url, [*shipped(), change]))
        async with asyncio.timeout(10):
            while not await watching.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
            async with reader(database_url):
                assert not migrating.done()
    with pytest.raises(asyncpg.DivisionByZeroError):
        await asyncio.wait_for(migrating, 10)


async def test_who_is_kept_from_a_table_for_good_learns_why_and_nothing_is_left_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planvault.storage.migrate._TABLE_WAIT_MS", 10)
    monkeypatch.setattr("planvault.storage.migrate._PAUSE_S", 0.0)
    monkeypatch.setattr("planvault.storage.migrate._TRIES", 3)
    change = Migration("9999_change.sql", f"CREATE TABLE half_made (); {CHANGE}")
    async with reader(database_url) as watching:
        with pytest.raises(BringUpFailed, match=r"9999_change.sql was kept from a table 3 times.*pg_stat_activity"):
            await migrate(database_url, [*shipped(), change])
        assert await watching.fetchval("SELECT to_regclass('half_made')") is None


async def test_a_migration_that_waits_in_a_circle_with_the_platform_begins_anew(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two upgrades beside four writers one failed so."""
    monkeypatch.setattr("planvault.storage.migrate._PAUSE_S", 0.05)
    change = Migration("9999_change.sql", "LOCK TABLE hosts; LOCK TABLE actor_leases; SELECT 1/0")
    platform = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(30), platform.transaction():
            await platform.execute("LOCK TABLE actor_leases")
            migrating = asyncio.create_task(migrate(database_url, [*shipped(), change]))
            while not await platform.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'actor_leases'::regclass)"
            ):
                await asyncio.sleep(0.01)
            await platform.execute("LOCK TABLE hosts")  # whoever waited first is the one that is called off
        with pytest.raises(asyncpg.DivisionByZeroError):
            await asyncio.wait_for(migrating, 10)
    finally:
        await platform.close()
