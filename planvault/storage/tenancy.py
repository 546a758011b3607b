"""The organisation that a transaction works for: the second wall behind every query's own scope.

Postgres shows the role `planvault_app` the rows of the organisation that its transaction names in `planvault.org_id`,
and without one none (migration 0014, docs/tenancy.md). Role and name are local to the transaction: nothing of them is
left for the next user of a pooled connection. Where a connection may do more, as the platform's and the owner's may, a
transaction of one organisation lays that down first.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from models.tenants import OrgScope
from planvault.storage.pool import Connection, Pool, Queryable, Role, begun

_SNAPSHOT = " ISOLATION LEVEL REPEATABLE READ READ ONLY"


@asynccontextmanager
async def within(pool: Pool, scope: OrgScope, *, snapshot: bool = False) -> AsyncIterator[Connection]:
    """A transaction that sees the scope's organisation only; committed at the end, rolled back where it raises.

    It begins and is scoped in one round trip. It is not one of asyncpg's: `connection.transaction()` inside it raises
    InterfaceError. `snapshot`: read-only, every statement sees the database as the first one does.
    """
    async with begun(pool, f"BEGIN{_SNAPSHOT if snapshot else ''}; {_scoping(scope)}") as connection:
        yield connection


async def enter(connection: Connection, scope: OrgScope) -> None:
    """What follows in the open transaction is this organisation's: it was not known before."""
    await connection.execute(_scoping(scope))


@asynccontextmanager
async def stepped_into(connection: Connection, scope: OrgScope) -> AsyncIterator[None]:
    """The part of a platform's transaction that is one organisation's work.

    Where it raises, roll back to a savepoint from before it (or the whole): that undoes the step as well.
    """
    await enter(connection, scope)
    yield
    await connection.execute("RESET ROLE; SET LOCAL planvault.org_id = ''")


def scoped(pool: Pool, scope: OrgScope) -> Queryable:
    """Statements of one organisation, each a transaction of its own."""
    return _Statements(pool, scope)


class _Statements:
    __slots__ = ("_pool", "_scope")

    def __init__(self, pool: Pool, scope: OrgScope) -> None:
        self._pool = pool
        self._scope = scope

    async def fetch(self, query: str, /, *args: Any) -> list[asyncpg.Record]:
        async with within(self._pool, self._scope) as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, /, *args: Any) -> asyncpg.Record | None:
        async with within(self._pool, self._scope) as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, /, *args: Any) -> Any:
        async with within(self._pool, self._scope) as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, /, *args: Any) -> str:
        async with within(self._pool, self._scope) as connection:
            return await connection.execute(query, *args)


def _scoping(scope: OrgScope) -> str:
    # An id is a uuid.UUID: its text holds nothing but hexadecimal digits and dashes.
    return f"SET LOCAL ROLE {Role.TENANT}; SET LOCAL planvault.org_id = '{scope.org_id}'"
