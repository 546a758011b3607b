"""The organisation that a transaction works for: the second wall behind every query's own scope.

Postgres shows a connection of the role `planvault_app` the rows of the organisation that its transaction names in
`planvault.org_id`, and without one none (migration 0014, docs/tenancy.md). The name is local to the transaction:
nothing of it is left for the next user of a pooled connection.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.tenants import OrgScope
from planvault.storage.pool import Connection, Pool


@asynccontextmanager
async def within(pool: Pool, scope: OrgScope) -> AsyncIterator[Connection]:
    """A transaction that sees the scope's organisation only; committed at the end, rolled back where it raises.

    It begins and is scoped in one round trip. It is not one of asyncpg's: `connection.transaction()` inside it raises
    InterfaceError.
    """
    async with pool.acquire() as connection:
        # An id is a uuid.UUID: its text holds nothing but hexadecimal digits and dashes.
        await connection.execute(f"BEGIN; SET LOCAL planvault.org_id = '{scope.org_id}'")
        try:
            yield connection
        except BaseException:
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
