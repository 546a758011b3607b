"""A commit that Postgres turns into a rollback is no commit."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from models.tenants import OrgScope
from planvault.clock import TimeOrderedIds
from planvault.errors import NotFound
from planvault.storage.pool import Connection, Pool, savepoint, transaction
from planvault.storage.tenancy import within
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres


async def fails_unnoticed(connection: Connection) -> None:
    with suppress(asyncpg.PostgresError):
        await connection.execute("SELECT 1 / 0")


async def test_a_scope_whose_fault_somebody_swallowed_does_not_pass_for_committed(pool: Pool) -> None:
    org = await Tenants(pool, TimeOrderedIds()).create_organization("Acme")

    before = await pool.fetchval("SELECT settings FROM organizations WHERE id = $1", org.id)

    async def change() -> None:
        async with within(pool, OrgScope(org_id=org.id)) as connection:
            await connection.execute("UPDATE organizations SET settings = '{\"a\": 1}' WHERE id = $1", org.id)
            await fails_unnoticed(connection)

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await change()
    assert await pool.fetchval("SELECT settings FROM organizations WHERE id = $1", org.id) == before


async def test_a_fault_that_is_raised_is_the_one_that_is_heard(pool: Pool) -> None:
    org = await Tenants(pool, TimeOrderedIds()).create_organization("Acme")

    async def look() -> None:
        async with within(pool, OrgScope(org_id=org.id)) as connection:
            await fails_unnoticed(connection)
            raise NotFound

    with pytest.raises(NotFound):
        await look()


async def test_nor_does_what_works_across_organisations(pool: Pool) -> None:
    org = await Tenants(pool, TimeOrderedIds()).create_organization("Acme")

    async def rename() -> None:
        async with transaction(pool) as connection:
            await connection.execute("UPDATE organizations SET name = 'Other' WHERE id = $1", org.id)
            await fails_unnoticed(connection)

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await rename()
    assert await pool.fetchval("SELECT name FROM organizations WHERE id = $1", org.id) == "Acme"


async def test_a_part_that_fails_takes_nothing_else_with_it(pool: Pool) -> None:
    org = await Tenants(pool, TimeOrderedIds()).create_organization("Acme")
    name = "UPDATE organizations SET name = $2 WHERE id = $1"
    async with transaction(pool) as connection:
        await connection.execute(name, org.id, "First")
        with suppress(asyncpg.DivisionByZeroError):
            async with savepoint(connection):
                await connection.execute(name, org.id, "Second")
                await connection.execute("SELECT 1 / 0")
    assert await pool.fetchval("SELECT name FROM organizations WHERE id = $1", org.id) == "First"


async def test_a_connection_that_cannot_even_roll_back_is_given_up_and_what_was_wrong_is_heard(pool: Pool) -> None:
    """Returned to the pool it would go on with somebody else's transaction."""
    org = await Tenants(pool, TimeOrderedIds()).create_organization("Acme")
    at_work: list[asyncio.Task[str]] = []

    async def change() -> None:
        async with transaction(pool) as connection:
            await connection.execute("UPDATE organizations SET name = 'Other' WHERE id = $1", org.id)
            at_work.append(asyncio.create_task(connection.execute("SELECT pg_sleep(60)")))
            await asyncio.sleep(0)
            raise NotFound

    with pytest.raises(NotFound):
        await asyncio.wait_for(change(), 10)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await asyncio.wait_for(at_work[0], 10)
    assert await pool.fetchval("SELECT name FROM organizations WHERE id = $1", org.id) == "Acme"
