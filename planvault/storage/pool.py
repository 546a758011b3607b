"""Connection pools. One a process, made by wiring, passed on as a value."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import asyncpg
from pgvector.asyncpg import register_vector

from planvault.errors import Unavailable

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Queryable(Protocol):
    """What a repository function runs on: the caller's open transaction, or each statement in one of its own.

    Of one organisation it is a Connection of `tenancy.within`, or what `tenancy.scoped` makes of a pool; the pool
    itself is for what works across organisations.
    """

    async def fetch(self, query: str, /, *args: Any) -> "list[asyncpg.Record]": ...

    async def fetchrow(self, query: str, /, *args: Any) -> "asyncpg.Record | None": ...

    async def fetchval(self, query: str, /, *args: Any) -> Any: ...

    async def execute(self, query: str, /, *args: Any) -> str: ...


class Role(StrEnum):
    """Who a pool's connections are in the database (migration 0014): both are subject to row-level security.

    TENANT sees the organisation that its transaction names. PLATFORM works across organisations, and steps down to
    TENANT for what it does in one (`tenancy.within`).
    """

    TENANT = "planvault_app"
    PLATFORM = "planvault_platform"


_STALE_KEY = "PV001"  # migration 0017: sealed with a key that was retired since; keys are read again within seconds
_AWAY = (
    OSError,  # TimeoutError included
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that was cut between two messages
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash of another backend, cancelled query
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, in the middle of a failover
    asyncpg.TransactionRollbackError,  # deadlock, serialisation
    asyncpg.LockNotAvailableError,  # a table being altered
)


def is_away(fault: BaseException) -> bool:
    """Whether the fault is of the database's moment and not of the statement: asked again later, it can succeed.

    Whether the statement took effect is not known. (asyncpg's own complaint about an argument is an InterfaceError
    too, and a ValueError.)
    """
    if isinstance(fault, asyncpg.PostgresError) and fault.sqlstate == _STALE_KEY:
        return True
    return isinstance(fault, _AWAY) and not isinstance(fault, ValueError)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raises Unavailable where the database is away, so that who waits for it need not know its faults."""
    try:
        yield
    # Which faults mean that is the pool's knowledge; all others go up as they are.
    except Exception as fault:
        if not is_away(fault):
            raise
        raise Unavailable(f"The database does not answer: {what} not read ({type(fault).__name__}).") from fault


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    await register_vector(connection)


async def _leave_as_it_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing of ours outlives its transaction: settings and advisory locks are local to one, cursors are not used.

    asyncpg rolls an open transaction back by itself; its own reset is another round trip and four statements for every
    query. Whatever needs more than a transaction (LISTEN, the migration's lock) has a connection outside the pools.
    """


async def open_pool(
    url: str,
    *,
    name: str,
    minimum: int = 1,
    maximum: int = 8,
    lock_timeout_ms: int = 3_000,
    command_timeout_s: float | None = None,
    role: Role | None = None,
) -> Pool:
    """A pool whose connections decode jsonb to Python values and vectors to numpy arrays.

    `name` shows in pg_stat_activity. `lock_timeout` and the idle-in-transaction limit stay below the lease time, so
    that a frozen process cannot hold up a takeover (design, durable protocol 3). After `command_timeout_s` a statement
    raises TimeoutError: a connection whose other end has vanished would otherwise be waited for until TCP gives up.
    `role`: what the connections act as, whatever more their login may do; None (migrations, bring-up): the login.
    """
    return await asyncpg.create_pool(
        url,
        min_size=minimum,
        max_size=maximum,
        init=_prepare,
        reset=_leave_as_it_is,
        command_timeout=command_timeout_s,
        server_settings={
            "application_name": f"planvault/{name}",
            "lock_timeout": str(lock_timeout_ms),
            "idle_in_transaction_session_timeout": str(lock_timeout_ms),
            **({} if role is None else {"role": role.value}),
        },
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction of what works across organisations; `tenancy.within` is one organisation's.

    Neither is one of asyncpg's: `connection.transaction()` inside raises InterfaceError; a part of it is a `savepoint`.
    """
    async with begun(pool, "BEGIN") as connection:
        yield connection


@asynccontextmanager
async def begun(pool: Pool, begin: str) -> AsyncIterator[Connection]:
    """What follows the statements of `begin` is committed at the end, rolled back where it raises.

    Raises InFailedSQLTransactionError where a statement failed and somebody went on: asyncpg's own does not look at
    what Postgres answers, and takes the rollback for a commit.
    """
    async with pool.acquire() as connection:
        try:
            await connection.execute(begin)
            yield connection
            if await connection.execute("COMMIT") != "COMMIT":
                raise asyncpg.InFailedSQLTransactionError("A statement failed, somebody went on, and nothing was kept.")
        except BaseException:
            # Also where it was cancelled while it began or ended, and asyncpg does not know yet whether one is open.
            await _undone(connection, "ROLLBACK")
            raise


@asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """A part of an open transaction that is undone by itself where it raises; not one inside another."""
    await connection.execute("SAVEPOINT part")
    try:
        yield
        await connection.execute("RELEASE SAVEPOINT part")
    except BaseException:  # cancellation too: who catches it outside goes on without this part
        await _undone(connection, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
        raise


async def _undone(connection: Connection, undo: str) -> None:
    """The fault that is on its way up is the one to be heard: a connection that cannot even do this is given up."""
    if connection.is_closed():
        return
    try:
        await connection.execute(undo)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        connection.terminate()  # Postgres rolls back what its client has left
