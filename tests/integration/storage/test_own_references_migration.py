"""Migrations 0022 on a database that has rows already."""

from uuid import UUID

import asyncpg
import pytest

from planvault.clock import TimeOrderedIds
from planvault.storage.migrate import migrate, shipped
from planvault.storage.pool import Pool, open_pool

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()


async def _organisation(pool: Pool) -> tuple[UUID, UUID]:
    org, project = IDS.new(), IDS.new()
    await pool.execute("INSERT INTO organizations (id, name) VALUES ($1, 'org')", org)
    await pool.execute("INSERT INTO projects (id, org_id, name) VALUES ($1, $2, 'p')", project, org)
    await pool.execute(
        "INSERT INTO api_keys (id, org_id, project_id, name, key_sha256, preview, scopes, is_primary) "
        "VALUES ($1, $2, $3, 'old', sha256(uuid_send($1)), 'abcd', '{hrn:project:*}', true)",
        *(IDS.new(), org, project),
    )
    return org, project


async def test_rows_of_before_are_looked_at_and_one_that_names_another_organisation_stops_the_upgrade(
    postgres_server: str,
) -> None:
    server = await asyncpg.connect(postgres_server)
    name = f"older_{IDS.new().hex}"
    await server.execute(f'CREATE DATABASE "{name}"')
    await server.close()
    url = postgres_server.replace("/postgres?", f"/{name}?")
    await migrate(url, [migration for migration in shipped() if migration.name < "0022"])
    pool = await open_pool(url, name="test", maximum=2)
    (mine, _), (_, theirs) = await _organisation(pool), await _organisation(pool)
    crossed = await pool.fetchval(
        "INSERT INTO secrets (id, org_id, project_id, name, value) VALUES ($1, $2, $3, 'N', 'x') RETURNING id",
        *(IDS.new(), mine, theirs),
    )
    await pool.execute("CREATE INDEX sessions_own ON sessions (id)")  # what a build that was broken off has left

    with pytest.raises(asyncpg.ForeignKeyViolationError, match="secrets_project_id_own"):
        await migrate(url)
    assert await pool.fetchval("SELECT count(*) FROM pg_constraint WHERE conname = 'secrets_project_id_fkey'") == 1
    await pool.execute("DELETE FROM secrets WHERE id = $1", crossed)

    assert "0022_4_own_references_hold.sql" in await migrate(url)
    assert await pool.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated") == 0
    assert await pool.fetchval(
        "SELECT indisunique AND indisvalid FROM pg_index WHERE indexrelid = 'sessions_own'::regclass"
    )
    rows = await pool.fetch(
        "SELECT maker_kind, maker_is_gone(org_id, maker_kind, maker_user, maker_token) AS gone FROM api_keys"
    )
    assert [(row["maker_kind"], row["gone"]) for row in rows] == [("", False)] * 2, "nobody knows who made them"
    await pool.close()
