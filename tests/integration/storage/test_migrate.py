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
