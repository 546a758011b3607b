"""Migrations alone, for `planvault migrate`: before a rolling deploy, or on a database of somebody's own."""

import asyncio
from pathlib import Path

import asyncpg

from cluster import database, postgres
from cluster.data_dir import locked, prepare
from cluster.server_user import server_user
from planvault.errors import BringUpFailed
from planvault.storage.migrate import migrate


def migrate_only(data_dir: Path, database_url: str) -> list[str]:
    """Names of the migrations applied now. The embedded server is started for it, and stopped if it was not running."""
    if database_url:
        return asyncio.run(_migrate(database_url))
    user = server_user()
    data = prepare(data_dir, user)
    server = postgres.embedded(data, user)
    with locked(data):
        was_running = server.pid() is not None
        server.start()
        try:
            asyncio.run(database.create_database(server.url("postgres")))
            return asyncio.run(_migrate(server.url()))
        finally:
            if not was_running:
                server.stop()


async def _migrate(url: str) -> list[str]:
    await database.check(url)
    try:
        return await migrate(url)
    except asyncpg.PostgresError as error:
        raise BringUpFailed(f"{database.named(url)} refused the migration: {error}") from error
