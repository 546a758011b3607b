"""Applies `migrations/*.sql` in name order, each in its own transaction, under one advisory lock.

One whose first line is `-- outside a transaction` is run statement by statement, each committed by itself: what builds
an index while the platform writes (CREATE INDEX CONCURRENTLY) may be in no transaction. Broken off, it is run again
from its beginning, so it must bear that.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import asyncpg

from planvault.errors import BringUpFailed

# Any constant will do, as long as nobody else in the database uses it: the ASCII of "planvalt".
_LOCK = int.from_bytes(b"planvalt", "big") & 0x7FFF_FFFF_FFFF_FFFF

_LOCK_POLL_S = 0.1
# A change of a table waits behind whoever reads it, and everybody else behind the change. Shorter than the product's
# statements wait (pool.open_pool), and longer than Postgres takes to call an autovacuum off (deadlock_timeout).
_TABLE_WAIT_MS = 2_000
_TRIES = 30
_PAUSE_S = 1.0
_ALONE = "-- outside a transaction\n"
_ENDS = re.compile(r";[^\S\n]*\n")  # of statements outside a transaction: at the end of a line, and nowhere else

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def is_alone(self) -> bool:
        """Whether it may be in no transaction."""
        return self.sql.startswith(_ALONE)

    @property
    def statements(self) -> tuple[str, ...]:
        """What is run at once; one where a transaction holds the whole."""
        return tuple(each for each in _ENDS.split(self.sql) if each.strip()) if self.is_alone else (self.sql,)


def shipped() -> list[Migration]:
    """The migrations of this build, in order."""
    files = resources.files("migrations").iterdir()
    found = [Migration(file.name, file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".sql")]
    return sorted(found, key=lambda migration: migration.name)


async def migrate(url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database up to this build; returns the names applied now.

    Raises BringUpFailed for a database without pgvector, with an edited migration, or from a newer build.
    """
    wanted = list(shipped() if migrations is None else migrations)
    connection = await asyncpg.connect(url, server_settings={"application_name": "planvault/migrate"})
    try:
        # Asked again and again: the build of an index waits for every statement that is older, and one would wait here.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(_LOCK_POLL_S)
        return await _apply(connection, wanted)
    finally:
        await connection.close()


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Sequence[Migration]) -> list[str]:
    await _require_pgvector(connection)
    await connection.execute(_LEDGER)
    rows = await connection.fetch("SELECT name, sha256 FROM schema_migrations")
    done = {row["name"]: row["sha256"] for row in rows}
    unknown = sorted(done.keys() - {migration.name for migration in wanted})
    if unknown:
        raise BringUpFailed(
            f"The database was migrated by a newer build ({', '.join(unknown)}). Run that build, or restore a backup."
        )
    applied = []
    for migration in wanted:
        if migration.name in done:
            if done[migration.name] != migration.sha256:
                raise BringUpFailed(f"Migration {migration.name} was edited after it was applied; restore the file.")
            continue
        if migration.is_alone:
            await _run(connection, migration)
        else:
            await _whole(connection, migration)
        applied.append(migration.name)
    return applied


async def _whole(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    """In one transaction, begun anew where it does not get at a table while the platform works on it."""
    for left in reversed(range(_TRIES)):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {_TABLE_WAIT_MS}")
                await _run(connection, migration)
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as fault:
            if not left:
                raise BringUpFailed(
                    f"Migration {migration.name} was kept from a table {_TRIES} times, and nothing of it was applied: "
                    f"{fault}. Look for a long transaction (pg_stat_activity), end it, and migrate again."
                ) from fault
        await asyncio.sleep(_PAUSE_S)


async def _run(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    for statement in migration.statements:
        await connection.execute(statement)
    await connection.execute(
        "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", migration.name, migration.sha256
    )


async def _require_pgvector(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    version = await connection.fetchval("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
    if version is None:
        raise BringUpFailed(
            "This Postgres has no pgvector. Install it on the server (≥ 0.8, package postgresql-NN-pgvector), "
            "or unset DATABASE_URL to use the embedded Postgres."
        )
