"""Many writers at once: one chain each organisation, no gap, no fork, no deadlock."""

import asyncio
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from planvault.storage.pool import Pool, Role, open_pool
from tests.integration.audit.conftest import Room, open_room

ROW = (
    "INSERT INTO audit_log (id, org_id, at, action, details, details_digest)"
    " SELECT id, org, now(), 'X', '', sha256('') FROM unnest($1::uuid[], $2::uuid[]) AS r(id, org)"
)
CHAIN = "SELECT seq, prev_hash, hash FROM audit_log WHERE org_id = $1 ORDER BY seq"


@pytest.fixture
async def rooms(pool: Pool, keys: Path) -> list[Room]:
    return [await open_room(pool, keys) for _ in range(3)]


async def _whole(pool: Pool, org_id: UUID, rows: int) -> None:
    found = await pool.fetch(CHAIN, org_id)
    assert [row["seq"] for row in found] == list(range(1, rows + 1))
    links = [bytes(32), *(row["hash"] for row in found)]
    assert [row["prev_hash"] for row in found] == links[:-1]
    assert await pool.fetchval("SELECT hash FROM audit_heads WHERE org_id = $1", org_id) == links[-1]


async def test_statements_of_many_organisations_in_any_order_do_not_deadlock(
    rooms: list[Room], database_url: str
) -> None:
    """As hosts' appends are: one statement, rows of several organisations, each host in an order of its own."""
    orgs = [room.scope.org_id for room in rooms]
    ids = rooms[0].ids

    async def write(pool: Pool, turn: int) -> None:
        order = [orgs[(turn + step) % 3] for step in range(3)] if turn % 2 else [orgs[turn % 3], *reversed(orgs)][:3]
        chosen = list(dict.fromkeys([*order, *orgs]))
        async with pool.acquire() as connection:
            await connection.execute(ROW, [ids.new() for _ in chosen], chosen)

    writers = await open_pool(database_url, name="writers", minimum=8, maximum=8, role=Role.PLATFORM)
    try:
        await asyncio.gather(*(write(writers, turn) for turn in range(90)))
    finally:
        await writers.close()
    for org in orgs:
        await _whole(rooms[0].pool, org, 90)


async def test_heads_are_taken_when_a_transaction_commits_and_so_after_its_other_locks(
    rooms: list[Room], database_url: str
) -> None:
    """A writes a row, then wants a lock of B's. B, who has it, writes a row and commits: no head is between them."""
    org = rooms[0].scope.org_id
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        began, held = first.transaction(), second.transaction()
        await began.start()
        await held.start()
        await second.execute("SELECT FROM organizations WHERE id = $1 FOR UPDATE", org)
        await first.execute(ROW, [rooms[0].ids.new()], [org])
        waits = asyncio.create_task(first.execute("SELECT FROM organizations WHERE id = $1 FOR KEY SHARE", org))
        await asyncio.wait_for(_is_waiting(rooms[0].pool, first.get_server_pid()), 5)
        await second.execute(ROW, [rooms[0].ids.new()], [org])
        await asyncio.wait_for(held.commit(), 5)
        await asyncio.wait_for(waits, 5)
        await began.commit()
    finally:
        await first.close()
        await second.close()
    await _whole(rooms[0].pool, org, 2)


async def _is_waiting(pool: Pool, pid: int) -> None:
    asked = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
    while not await pool.fetchval(asked, pid):
        await asyncio.sleep(0)


async def test_a_transaction_with_rows_of_several_organisations_takes_their_heads_in_one_order(
    rooms: list[Room], database_url: str
) -> None:
    """Statement by statement in opposite orders: what is locked at the end is locked by id."""
    low, high = sorted(room.scope.org_id for room in rooms)[:2]
    writers = await open_pool(database_url, name="writers", minimum=6, maximum=6)

    async def write(order: list[UUID]) -> None:
        async with writers.acquire() as connection, connection.transaction():
            for org in order:
                await connection.execute(ROW, [rooms[0].ids.new()], [org])

    try:
        await asyncio.gather(*(write([low, high] if turn % 2 else [high, low]) for turn in range(60)))
    finally:
        await writers.close()
    await _whole(rooms[0].pool, low, 60)
    await _whole(rooms[0].pool, high, 60)


async def test_what_is_rolled_back_leaves_no_place_empty(rooms: list[Room], database_url: str) -> None:
    room = rooms[0]
    await room.write(1)
    connection = await asyncpg.connect(database_url)
    try:
        outer = connection.transaction()
        await outer.start()
        inner = connection.transaction()
        await inner.start()
        await connection.execute(ROW, [room.ids.new()], [room.scope.org_id])
        await inner.rollback()
        await connection.execute(ROW, [room.ids.new()], [room.scope.org_id])
        await outer.commit()
    finally:
        await connection.close()
    await room.write(1)
    await _whole(room.pool, room.scope.org_id, 3)


@pytest.mark.parametrize("late", ["2020-01-01T00:00:00Z", "2036-01-01T00:00:00Z"])
async def test_a_row_that_comes_late_stands_where_it_came(rooms: list[Room], late: str) -> None:
    """Whatever time it claims: pages and exports follow the chain."""
    room = rooms[0]
    await room.write(2)
    old_id = UUID(bytes=bytes(6) + room.ids.new().bytes[6:])
    await room.pool.execute(ROW.replace("now()", f"timestamptz '{late}'"), [old_id], [room.scope.org_id])
    assert await room.pool.fetchval("SELECT seq FROM audit_log WHERE id = $1", old_id) == 3
    await _whole(room.pool, room.scope.org_id, 3)
