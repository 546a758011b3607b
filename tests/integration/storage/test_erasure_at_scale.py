"""What an erasure asks page by page stays a look at the person's own rows, however many of them are gone already."""

import pytest

from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within
from tests.integration.storage.key_room import KeyRoom

pytestmark = pytest.mark.postgres
SQL = load("planvault.storage", "sql/privacy_erasure.sql")

COPIES = """INSERT INTO sessions (id, {columns})
SELECT gen_random_uuid(), {columns} FROM sessions, generate_series(1, 4000) WHERE id = $1"""


@pytest.mark.parametrize("query", ["next_sessions", "active_sessions"])
async def test_the_next_sessions_of_a_person_are_found_by_the_person(pool: Pool, query: str) -> None:
    room = await KeyRoom.open(pool)
    made = await pool.fetchrow("SELECT * FROM sessions WHERE id = $1", room.sessions[1].session_id)
    assert made is not None
    columns = ", ".join(name for name in made.keys() if name != "id")  # noqa: SIM118 - a Record is no mapping
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(COPIES.format(columns=columns), made["id"])
    await pool.execute("ANALYZE sessions")
    async with within(pool, room.scope) as connection:
        found = await connection.fetch(SQL[query], room.org, None, [room.ada], 20)
        plan = "\n".join(
            row[0] for row in await connection.fetch(f"EXPLAIN {SQL[query]}", room.org, None, [room.ada], 20)
        )
    assert len(found) == 20
    assert "sessions_by_subject" in plan
    assert "sessions_pkey" not in plan
