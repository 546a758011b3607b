"""Rotation of data keys over real rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from planvault.crypto.envelope import read_header
from planvault.errors import DecryptionFailed, RotationUnderWay
from planvault.storage.history import event_seal
from planvault.storage.keys import shred_user
from planvault.storage.pool import Pool, is_away
from planvault.storage.reencryption import Reencryption, walk
from planvault.storage.rotation import Rotations
from planvault.storage.rotation_steps import RotationSteps
from planvault.storage.sealed import COLUMNS, NOT_SEALED
from planvault.storage.sessions import context_seal
from planvault.storage.tenancy import within
from tests.integration.storage.key_room import IDS, PROVIDERS, KeyRoom, keyring

pytestmark = pytest.mark.postgres


@pytest.fixture
async def room(pool: Pool) -> AsyncIterator[KeyRoom]:
    opened = await KeyRoom.open(pool)
    yield opened
    await pool.execute("DELETE FROM key_rotations")


def steps(pool: Pool, *, spread_s: float = 0.0) -> RotationSteps:
    return RotationSteps(pool, PROVIDERS, IDS, spread_s=spread_s, rest=0.0)


async def begin(room: KeyRoom) -> None:
    async with within(room.pool, room.scope) as connection:
        await Rotations(room.pool, IDS).begin(connection, room.scope, "test")


async def state_of(room: KeyRoom) -> str:
    newest = await Rotations(room.pool, IDS).newest(room.scope)
    assert newest is not None
    return newest.state.value


async def take_on(room: KeyRoom, worker: RotationSteps, *, until: str = "completed") -> None:
    for _ in range(60):
        if await state_of(room) == until:
            return
        await worker.once()
    raise AssertionError(f"the rotation stands at {await state_of(room)}")


async def test_the_registry_names_every_column_of_bytes_that_the_schema_has(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'bytea'"
    )
    assert {row["name"] for row in rows} == {column.name for column in COLUMNS} | set(NOT_SEALED)


async def test_every_sealed_column_is_watched_for_keys_that_may_not_seal(pool: Pool) -> None:
    rows = await pool.fetch("SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'sealed\\_%' AND NOT tgisinternal")
    wanted = {f"sealed_{c.table}_{c.column}{end}" for c in COLUMNS for end in ("", "_new")}
    assert {row["tgname"] for row in rows} == wanted


async def test_a_rotation_leaves_nothing_under_an_old_key_and_loses_no_value(room: KeyRoom) -> None:
    await room.fill()
    before, old = await room.content(), set(await room.keys_in_use())
    assert {column.name for column in COLUMNS} == {"data_keys.wrapped", *before}, "there is a value in every column"
    await begin(room)
    await take_on(room, steps(room.pool))
    assert await room.content() == before
    assert not old & set(await room.keys_in_use())
    assert await room.statuses() == {
        ("hmac", "active"): 1,
        ("org", "active"): 1,
        ("org", "destroyed"): 1,
        ("user", "active"): 1,
        ("user", "destroyed"): 1,
    }


async def test_pseudonyms_and_signal_secrets_outlive_a_rotation(room: KeyRoom) -> None:
    token = IDS.new()
    secret = await room.ring.signal_secret(room.org, token)  # type: ignore[arg-type]
    await begin(room)
    await take_on(room, steps(room.pool))
    later = keyring(room.pool)
    assert await later.pseudonym(room.org, "ada") == room.ada
    assert await later.signal_secret(room.org, token) == secret  # type: ignore[arg-type]


async def test_new_keys_seal_only_after_every_process_has_read_them_and_old_ones_may_finish(room: KeyRoom) -> None:
    await begin(room)
    patient = steps(room.pool, spread_s=3_600)
    await patient.once()
    await room.pool.execute("UPDATE key_rotations SET leased_until = NULL")
    await patient.once()
    assert await state_of(room) == "pending"
    assert (await room.statuses())["org", "pending"] == 1
    sealed = (await keyring(room.pool).cipher(room.org)).seal(b"x", event_seal(room.sessions[0].session_id, 1))
    kept = await room.pool.fetchval("SELECT status FROM data_keys WHERE id = $1", read_header(sealed).key_id)
    assert kept == "active", "a pending key seals nothing"


async def test_a_process_that_knew_a_user_before_a_rotation_reads_what_the_organisation_sealed_after(
    room: KeyRoom,
) -> None:
    place = event_seal(room.sessions[1].session_id, 1)
    await room.ring.session_cipher(room.sessions[1])
    await begin(room)
    await take_on(room, steps(room.pool))
    sealed = (await keyring(room.pool).cipher(room.org)).seal(b"new", place)
    room.ring.forget(room.org)  # as one that was the least recently used
    assert (await room.ring.session_cipher(room.sessions[1])).open(sealed, place) == b"new"


async def test_a_second_rotation_is_refused_while_one_is_under_way(room: KeyRoom) -> None:
    async def try_to() -> bool:
        with suppress(RotationUnderWay):
            await begin(room)
            return True
        return False

    assert sorted(await asyncio.gather(*(try_to() for _ in range(4)))) == [False, False, False, True]
    await take_on(room, steps(room.pool))
    await begin(room)
    await take_on(room, steps(room.pool))


async def test_a_writer_that_missed_a_rotation_is_refused_by_the_database(room: KeyRoom) -> None:
    session = room.sessions[0]
    asleep = await room.ring.cipher(room.org)
    sealed = asleep.seal(b"late", event_seal(session.session_id, 1))
    await begin(room)
    await take_on(room, steps(room.pool))
    with pytest.raises(asyncpg.PostgresError, match="may not seal any more"):
        await room.events(session, 1)
    with pytest.raises(asyncpg.PostgresError, match="may not seal any more"):
        async with within(room.pool, room.scope) as connection:
            await connection.execute("UPDATE sessions SET context = $2 WHERE id = $1", session.session_id, sealed)
    room.ring.forget(room.org)
    await room.events(session, 1)  # with its keys read again it goes on


async def test_retirement_waits_for_a_writer_that_has_not_committed(room: KeyRoom) -> None:
    session = room.sessions[0]
    await room.ring.cipher(room.org)
    await begin(room)
    worker = steps(room.pool)
    await take_on(room, worker, until="draining")
    cipher = await room.ring.cipher(room.org)  # still the old writer: it has not looked since
    sealed = cipher.seal(b"event", event_seal(session.session_id, 7))
    async with within(room.pool, room.scope) as writer:
        await writer.execute(
            "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, at, payload)"
            " VALUES ($1, 7, $2, 0, 1, 'prompt', 'history', 1, now(), $3)",
            session.session_id,
            room.org,
            sealed,
        )
        retiring = asyncio.create_task(worker.once())
        await _waits_for_a_lock(room.pool)
        assert (await room.statuses())["org", "active"] == 2, "nothing is retired while it may still commit"
    await retiring
    await take_on(room, worker)
    assert (await room.values())["events.payload"] == [b"event"]
    assert read_header(sealed).key_id not in await room.keys_in_use()


async def _waits_for_a_lock(pool: Pool) -> None:
    async with asyncio.timeout(5):
        while not await pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        ):
            await asyncio.sleep(0.01)


async def test_a_worker_killed_after_any_step_is_followed_by_another(room: KeyRoom) -> None:
    await room.fill()
    before = await room.content()
    await begin(room)
    for _ in range(60):
        if await state_of(room) == "completed":
            break
        dying = asyncio.create_task(steps(room.pool).once())
        await asyncio.wait([dying], timeout=0.03)
        dying.cancel()
        with suppress(asyncio.CancelledError):
            await dying
        await room.pool.execute("UPDATE key_rotations SET leased_until = NULL")  # its claim has run out
    else:
        await take_on(room, steps(room.pool))
    assert await room.content() == before
    assert (await room.statuses())["org", "active"] == 1


async def test_two_workers_that_both_believe_to_have_the_rotation_do_no_harm(room: KeyRoom) -> None:
    await room.fill(events=40)
    before = await room.content()
    await begin(room)

    async def work() -> None:
        worker = steps(room.pool)
        for _ in range(40):
            await worker.once()
            await room.pool.execute("UPDATE key_rotations SET leased_until = NULL")

    await asyncio.gather(work(), work())
    await take_on(room, steps(room.pool))
    assert await room.content() == before
    statuses = await room.statuses()
    assert statuses["org", "active"] == statuses["user", "active"] == 1


async def test_a_value_that_does_not_open_is_left_alone_and_its_key_is_kept(room: KeyRoom) -> None:
    await room.fill()
    victim = room.sessions[0].session_id
    await room.pool.execute(
        "UPDATE events SET payload = set_byte(payload, 70, get_byte(payload, 70) # 1)"
        " WHERE session_id = $1 AND seq = 1",
        victim,
    )
    await begin(room)
    await take_on(room, steps(room.pool))
    newest = await Rotations(room.pool, IDS).newest(room.scope)
    assert newest is not None
    assert newest.unreadable == 1
    assert (await room.statuses())["org", "retired"] == 1


async def test_what_changed_between_reading_and_swapping_stays_as_it_was_written(room: KeyRoom) -> None:
    await room.fill()
    session = room.sessions[0]
    old = list(await room.keys_in_use())
    await walk(Reencryption(room.pool, _Interrupting(room), room.org, old))  # type: ignore[arg-type]
    async with within(room.pool, room.scope) as connection:
        row = await connection.fetchrow("SELECT context FROM sessions WHERE id = $1", session.session_id)
    assert row is not None
    assert (await room.ring.cipher(room.org)).open(row["context"], context_seal(session.session_id)) == b"newer"


class _Interrupting:
    """Writes the first session's context when the walk has read it."""

    def __init__(self, room: KeyRoom) -> None:
        self._room = room
        self._done = False

    async def subject_cipher(self, org_id: object, subject: bytes | None) -> object:
        room = self._room
        cipher = await room.ring.subject_cipher(room.org, subject)
        session_id = room.sessions[0].session_id
        newer = (await room.ring.cipher(room.org)).seal(b"newer", context_seal(session_id))
        if not self._done:
            self._done = True
            async with within(room.pool, room.scope) as connection:
                await connection.execute("UPDATE sessions SET context = $2 WHERE id = $1", session_id, newer)
        return cipher


async def test_a_user_whose_key_is_gone_is_not_opened_by_anything_and_comes_back_with_another_key(
    room: KeyRoom,
) -> None:
    await room.fill()
    async with within(room.pool, room.scope) as connection:
        assert await shred_user(connection, room.scope, room.ada) == 1
    fresh = keyring(room.pool)
    cipher = await fresh.session_cipher(room.sessions[1])
    rows = await room.pool.fetch("SELECT seq, payload FROM events WHERE session_id = $1", room.sessions[1].session_id)
    for row in rows:
        with pytest.raises(DecryptionFailed):
            cipher.open(row["payload"], event_seal(room.sessions[1].session_id, row["seq"]))
    others = await fresh.session_cipher(room.sessions[0])
    [row, *_] = await room.pool.fetch(
        "SELECT seq, payload FROM events WHERE session_id = $1", room.sessions[0].session_id
    )
    assert others.open(row["payload"], event_seal(room.sessions[0].session_id, row["seq"])) == b"event"
    with pytest.raises(asyncpg.PostgresError, match="may not seal any more") as refused:
        await room.session("ada")  # this process still has the key: what it seals is not accepted
    assert is_away(refused.value), "later it will have read the keys again"
    room.ring.forget_user(room.org, room.ada)
    again = await room.session("ada")
    assert (await room.statuses())["user", "destroyed"] == 1
    assert again.session_id not in {session.session_id for session in room.sessions}
