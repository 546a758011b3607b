"""What the database refuses to a row of one organisation that names another's: for whoever can run SQL inside."""

from __future__ import annotations

import re
from typing import Final

import asyncpg
import pytest

from models.tenants import OrgScope
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped
from tests.integration.storage.key_room import KeyRoom

pytestmark = pytest.mark.postgres

# References between rows of organisations that do not name the organisation, and what holds in their place.
OTHERWISE: Final = {
    ("blob_chunks", "blobs"): "a part of its blob: the policy of the table asks for the blob behind the wall",
    ("bulk_import_findings", "bulk_imports"): "a part of its import: the policy asks for it behind the wall",
    ("feedback", "runs"): "trigger run_is_ones_own: an index more on runs would cost every append",
    ("scenario_lessons", "runs"): "trigger run_is_ones_own",
    ("scenario_samples", "runs"): "trigger run_is_ones_own",
    ("invitations", "users"): "a person is of no organisation",
    ("members", "users"): "a person is of no organisation",
}


async def test_every_reference_between_rows_of_organisations_names_the_organisation(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT f.conrelid::regclass::text AS child, f.confrelid::regclass::text AS parent, f.convalidated AS holds, "
        "  ARRAY(SELECT a.attname || '=' || b.attname FROM unnest(f.conkey, f.confkey) AS k(mine, theirs) "
        "        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.mine "
        "        JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.theirs) AS columns "
        "FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid <> 'organizations'::regclass "
        "AND EXISTS (SELECT FROM pg_policies p WHERE p.tablename = f.confrelid::regclass::text "
        "            AND p.policyname = 'tenant')"
    )
    loose = {(row["child"], row["parent"]) for row in rows if "org_id=org_id" not in row["columns"]}
    assert loose == set(OTHERWISE), "carry org_id in the reference, or say here what holds in its place"
    assert all(row["holds"] for row in rows)
    assert len(rows) > 30


# As the tenant's role, of one's own organisation ($1), what names another's ($2 project, $3 session, $4 run).
FORGED: Final = {
    "a key": "INSERT INTO api_keys (id, org_id, project_id, name, key_sha256, preview, scopes, is_primary) "
    "SELECT gen_random_uuid(), $1::uuid, $2::uuid, 'x', sha256('x'), 'x', '{}', false "
    "FROM (SELECT $3::uuid, $4::uuid) y",
    "a session": "INSERT INTO sessions (id, org_id, project_id, shard, context) "
    "SELECT gen_random_uuid(), $1::uuid, $2::uuid, 0, 'x' FROM (SELECT $3::uuid, $4::uuid) y",
    "a command": "INSERT INTO commands (id, org_id, project_id, session_id, shard, kind, payload) "
    "SELECT gen_random_uuid(), $1::uuid, $2::uuid, $3::uuid, 0, 'message', 'x' FROM (SELECT $4::uuid) y",
    "where a session's files end": "INSERT INTO event_heads (org_id, session_id, seq, epoch) "
    "SELECT $1::uuid, $3::uuid, 1, 1 FROM (SELECT $2::uuid, $4::uuid) y",
    "a fence": "INSERT INTO erased_sessions (org_id, session_id, request_id, shard) "
    "SELECT $1::uuid, $3::uuid, $1::uuid, 0 FROM (SELECT $2::uuid, $4::uuid) y",
    "a kept answer": "INSERT INTO idempotency (org_id, project_id, route, key, body_sha256, status, answer) "
    "SELECT $1::uuid, $2::uuid, 'POST /x', 'k', 'x', 200, 'x' FROM (SELECT $3::uuid, $4::uuid) y",
    "a lesson": "INSERT INTO scenario_lessons (org_id, run_id, scenario_id, share) "
    "SELECT $1::uuid, $4::uuid, gen_random_uuid(), 1 FROM (SELECT $2::uuid, $3::uuid) y",
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_row_of_one_s_own_cannot_name_what_is_another_organisation_s(pool: Pool, what: str) -> None:
    mine, theirs = await KeyRoom.open(pool, "mine"), await KeyRoom.open(pool, "theirs")
    await theirs.fill()
    run = await pool.fetchval("SELECT id FROM runs WHERE org_id = $1 LIMIT 1", theirs.org)
    session = theirs.sessions[0].session_id
    await pool.execute("DELETE FROM event_heads WHERE session_id = $1", session)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await scoped(pool, mine.scope).execute(FORGED[what], mine.org, theirs.project.project_id, session, run)


_SET: Final = re.compile(r"UPDATE organizations(?:\s+(?:AS\s+)?o)?\s+SET\s+(.*?)(?:\bWHERE\b|\bRETURNING\b|;)", re.S)
_COLUMN: Final = re.compile(r"(\w+)\s*=")


async def test_of_its_own_row_an_organisation_may_write_what_the_product_writes_there_and_nothing_else(
    pool: Pool,
) -> None:
    from tests.integration.storage.test_query_scopes import OWNERS, queries

    written: dict[str, set[str]] = {"planvault_app": set(), "planvault_platform": set()}
    for query in queries():
        if query.place not in OWNERS:
            for columns in _SET.findall(query.sql):
                written["planvault_platform" if query.is_platform else "planvault_app"] |= set(_COLUMN.findall(columns))
    rows = await pool.fetch(
        "SELECT grantee, column_name FROM information_schema.column_privileges "
        "WHERE table_name = 'organizations' AND privilege_type = 'UPDATE' AND grantee LIKE 'planvault\\_%'"
    )
    granted = {role: {row["column_name"] for row in rows if row["grantee"] == role} for role in written}
    assert granted == written
    assert load("planvault.storage", "sql/tenants.sql")["insert_organization"].count("(id, name, settings)") == 1


@pytest.mark.parametrize(
    "change",
    ["keys_per_project = 10000", "deleted_at = NULL", "purge_after = now()", "name = 'x'", "created_at = now()"],
)
async def test_what_is_the_platform_s_word_no_organisation_writes(pool: Pool, change: str) -> None:
    room = await KeyRoom.open(pool)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scoped(pool, OrgScope(org_id=room.org)).execute(
            f"UPDATE organizations SET {change} WHERE id = $1", room.org
        )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scoped(pool, OrgScope(org_id=room.org)).execute("DELETE FROM organizations WHERE id = $1", room.org)
