"""Rotation of data keys where session events lie in files."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from models.events import EventType
from models.ids import SessionId
from models.policies import SessionSettings
from models.rotations import Rotation, RotationState
from models.tenants import OrgScope, SessionScope
from models.tools import Idempotency
from planvault.clock import TimeOrderedIds
from planvault.crypto.envelope import read_header
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.providers import KeyProviders
from planvault.errors import OutcomeUnknown
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import decode, places
from planvault.storage.files.pruning import JournalFiles, LeftoverFiles
from planvault.storage.files.reader import committed
from planvault.storage.files.reencryption import FileReencryption
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate, shipped
from planvault.storage.pool import Pool, Role, open_pool
from planvault.storage.rotation import Rotations
from planvault.storage.rotation_steps import RotationSteps
from planvault.storage.session_store import SessionStore
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.tenancy import within
from tests.integration.runtime.harness import SHARDS, Platform, World, open_platform
from tests.integration.storage.file_room import Killed, Mortal, files, finished, state
from tests.integration.storage.test_file_store import owning
from tests.unit.engine.plans import TWO_CALLS

pytestmark = pytest.mark.postgres
AT_ONCE = timedelta(minutes=-11)


@pytest.fixture
async def platform(pool: Pool, tmp_path: Path) -> Platform:
    await pool.execute("TRUNCATE sessions, event_store, event_leftovers, hosts, data_keys, key_rotations CASCADE")
    world = World(TWO_CALLS)
    world.tool("get", lambda call: {"email": "ada@example.com", "name": "Ada"})
    world.tool("send", lambda call: None, Idempotency.NONE)
    platform = await open_platform(pool, tmp_path, world)
    platform.session_store = SessionStore(tmp_path / "events")
    await platform.session_store.claim(pool, platform.ids)
    return platform


@pytest.fixture
def folder(tmp_path: Path) -> EventFolder:
    return EventFolder(tmp_path / "events")


@pytest.fixture
async def as_platform(platform: Platform, database_url: str) -> AsyncIterator[Pool]:
    """With the rights that the product's own processes have."""
    async with await open_pool(database_url, name="platform", role=Role.PLATFORM) as pool:
        yield pool


@pytest.fixture
def worker(as_platform: Pool, folder: EventFolder, tmp_path: Path) -> RotationSteps:
    return rotating(as_platform, folder, tmp_path)


def rotating(pool: Pool, folder: EventFolder | None, keys: Path) -> RotationSteps:
    providers = KeyProviders.only(LocalKeyWrapper.at(keys / "keyset.json"))
    return RotationSteps(pool, providers, TimeOrderedIds(), folder=folder, spread_s=0, rest=0)


async def begin(platform: Platform) -> None:
    async with within(platform.pool, platform.scope) as connection:
        await Rotations(platform.pool, platform.ids).begin(connection, OrgScope(org_id=platform.scope.org_id))


async def newest(platform: Platform) -> Rotation:
    found = await Rotations(platform.pool, platform.ids).newest(platform.scope)
    assert found is not None
    return found


async def take_on(
    platform: Platform, worker: RotationSteps, until: RotationState = RotationState.COMPLETED
) -> Rotation:
    for _ in range(60):
        if (found := await newest(platform)).state is until:
            return found
        await worker.once()
    raise AssertionError(f"the rotation stands at {(await newest(platform)).state}")


async def users_session(platform: Platform, user: str) -> SessionScope:
    sessions = Sessions(platform.pool, platform.keyring, platform.keyring.pseudonym, SHARDS)
    session_id = SessionId(platform.ids.new())
    async with within(platform.pool, platform.scope) as connection:
        await sessions.insert(connection, platform.scope, session_id, SessionDraft({}, {}, (), user, SessionSettings()))
    return SessionScope(**platform.scope.model_dump(), session_id=session_id)


async def keys_on_disk(platform: Platform, folder: EventFolder, *sessions: SessionScope) -> set[UUID]:
    """Of everything that counts; each file's row names the key of all its events."""
    found: set[UUID] = set()
    for session in sessions:
        for segment in await committed(platform.pool, folder, session.org_id, session.session_id):
            data = segment.path.read_bytes()[: segment.size]
            there = {read_header(decode(data, place.offset).payload).key_id for place in places(data)}
            assert there <= {segment.key_id}
            found |= there
    return found


async def keys(platform: Platform, status: str) -> set[UUID]:
    rows = await platform.pool.fetch("SELECT id FROM data_keys WHERE status = $1 AND purpose <> 'hmac'", status)
    return {row["id"] for row in rows}


async def test_a_rotation_writes_every_file_anew_and_the_old_keys_are_destroyed(
    platform: Platform, folder: EventFolder, worker: RotationSteps, tmp_path: Path
) -> None:
    sessions = [await finished(platform), await finished(platform, await users_session(platform, "ada"))]
    await finished(platform, sessions[0], runs=1)
    before = [(await platform.history(s), await platform.record(s), await state(platform, s)) for s in sessions]
    old = await keys_on_disk(platform, folder, *sessions)
    assert len(old) == 2, "the organisation's and ada's"
    await begin(platform)
    done = await take_on(platform, worker)
    assert done.unreadable == 0
    assert done.reencrypted > sum(len(record) for _, record, _ in before), "they are counted"
    assert await keys(platform, "destroyed") == old
    assert not old & await keys_on_disk(platform, folder, *sessions)
    platform.keyring = PostgresKeyring(platform.pool, LocalKeyWrapper.at(tmp_path / "keyset.json"), platform.ids)
    after = [(await platform.history(s), await platform.record(s), await state(platform, s)) for s in sessions]
    assert after == before
    assert (await LeftoverFiles(folder, AT_ONCE, 100).once(platform.pool)).looked_at == 3
    assert len(files(folder)) == 3, "nothing under the old keys is left on the disk"
    assert [(await platform.history(s), await platform.record(s), await state(platform, s)) for s in sessions] == before


async def test_whoever_rewrites_files_may_die_at_any_step(
    platform: Platform, folder: EventFolder, worker: RotationSteps
) -> None:
    session = await finished(platform)
    await finished(platform, session, runs=1)
    history, before = await platform.history(session), await state(platform, session)
    old = await keys_on_disk(platform, folder, session)
    await begin(platform)
    await take_on(platform, worker, RotationState.ENCRYPTING)
    platform.keyring.forget(session.org_id)

    async def survives(at: int, *, behind: bool = False) -> bool:
        steps = itertools.count(1)
        where, pool = (Mortal(inner, steps, at, behind) for inner in (folder, platform.pool))
        mortal = FileReencryption(pool, platform.keyring, where, session.org_id, list(old))  # type: ignore[arg-type]
        try:
            await mortal.page([])
        except Killed:
            return False
        finally:
            assert await platform.history(session) == history
            assert await state(platform, session) == before
        return True

    deaths = 0
    while not await survives(deaths + 1):
        deaths += 1
        assert await keys_on_disk(platform, folder, session) == old
    assert deaths >= 10
    assert not old & await keys_on_disk(platform, folder, session)
    await take_on(platform, worker)
    assert await keys(platform, "destroyed") == old
    await LeftoverFiles(folder, AT_ONCE, 1_000).once(platform.pool)
    assert len(files(folder)) == 2, "no file is forgotten"
    assert await platform.history(session) == history


async def test_hosts_and_readers_go_on_while_keys_rotate(
    platform: Platform, folder: EventFolder, worker: RotationSteps
) -> None:
    """The host holds its file open, and finds out in an append that its key, and with that its file, is another one."""
    sessions = [await platform.session() for _ in range(3)]
    old: set[UUID] = set()

    async def reads() -> None:
        while True:
            for session in sessions:
                await platform.history(session)
                await platform.record(session)
            await asyncio.sleep(0)

    async with platform.host("a"):
        reading = asyncio.create_task(reads())
        for number in range(1, 4):
            for session in sessions:
                await platform.says(session, f"prompt {number}")
            if number == 1:
                await platform.saw(sessions[0], EventType.DONE)
                old = await keys_on_disk(platform, folder, *sessions)
            await begin(platform)
            # Every process reads the keys again within the time that this rotation does not give them.
            await take_on(platform, worker, RotationState.DRAINING)
            platform.keyring.forget(platform.scope.org_id)
            await take_on(platform, worker)
        for session in sessions:
            await platform.saw(session, EventType.DONE, times=3, patience_s=40)
        assert not reading.done(), "a reader failed"
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 3 * 3
    assert len(await keys(platform, "destroyed")) == 3
    assert await keys_on_disk(platform, folder, *sessions) == await keys(platform, "active")
    assert old <= await keys(platform, "destroyed")
    epochs = await platform.pool.fetch("SELECT DISTINCT session_id, epoch FROM event_segments")
    assert len(epochs) == 3, "the host lost a session over it"


async def test_an_owner_goes_on_in_another_file_when_its_key_is_another_one(
    platform: Platform, folder: EventFolder, worker: RotationSteps
) -> None:
    session = await platform.session()
    owner = await owning(platform, folder, session)
    await owner.append({"n": 1})
    await begin(platform)
    await take_on(platform, worker, RotationState.DRAINING)
    platform.keyring.forget(session.org_id)
    await owner.append({"n": 2})
    assert len(await keys_on_disk(platform, folder, session)) == 2
    assert [segment.part for segment in await committed(platform.pool, folder, session.org_id, session.session_id)] == [
        0,
        1,
    ]
    await take_on(platform, worker)
    assert [event.payload for event in await owner.store.load(session)] == [{"n": 1}, {"n": 2}]


async def test_an_owner_that_missed_a_rotation_writes_nothing_that_counts(
    platform: Platform, folder: EventFolder, worker: RotationSteps, as_platform: Pool
) -> None:
    session = await platform.session()
    owner = await owning(replace(platform, pool=as_platform), folder, session)
    await owner.append({"n": 1})
    await begin(platform)
    await take_on(platform, worker)
    with pytest.raises(OutcomeUnknown):
        await owner.append({"n": 2})  # its keyring still knows the old key only
    assert (await owner.store.head(session)).seq == 1
    platform.keyring.forget(session.org_id)
    await owner.append({"n": 2})
    assert [event.payload for event in await owner.store.load(session)] == [{"n": 1}, {"n": 2}]
    assert await keys_on_disk(platform, folder, session) == await keys(platform, "active")


async def test_what_pruning_replaced_meanwhile_is_met_by_the_next_walk(
    platform: Platform, folder: EventFolder, tmp_path: Path
) -> None:
    session = await finished(platform)
    history = await platform.history(session)
    old = await keys_on_disk(platform, folder, session)
    pruned: list[object] = []

    class Slow(EventFolder):
        def write(self, path: Path, data: bytes) -> None:
            super().write(path, data)
            if not pruned:
                pruning = JournalFiles(folder, AT_ONCE, 50).once(platform.pool)
                pruned.append(asyncio.run_coroutine_threadsafe(pruning, loop).result())

    loop = asyncio.get_running_loop()
    await begin(platform)
    done = await take_on(platform, rotating(platform.pool, Slow(folder.root), tmp_path))
    assert pruned
    assert done.passes == 3, "one that was overtaken, one that wrote, one that found nothing"
    assert await keys(platform, "destroyed") == old
    platform.keyring.forget(session.org_id)
    assert await platform.history(session) == history
    assert await keys_on_disk(platform, folder, session) == await keys(platform, "active")


async def test_pruning_puts_no_two_keys_into_one_file(
    platform: Platform, folder: EventFolder, worker: RotationSteps
) -> None:
    session = await finished(platform)
    await begin(platform)
    await take_on(platform, worker, RotationState.ENCRYPTING)
    platform.keyring.forget(session.org_id)
    await finished(platform, session)
    history = await platform.history(session)
    await JournalFiles(folder, AT_ONCE, 50).once(platform.pool)
    assert len(await keys_on_disk(platform, folder, session)) == 2
    assert await platform.history(session) == history
    await take_on(platform, worker)
    assert await keys_on_disk(platform, folder, session) == await keys(platform, "active")
    assert len(await keys(platform, "destroyed")) == 1


async def test_a_damaged_file_keeps_its_key_and_a_rotation_after_the_repair_destroys_it(
    platform: Platform, folder: EventFolder, worker: RotationSteps
) -> None:
    damaged = await finished(platform)
    [path] = folder.root.rglob("*.events")
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    other = await finished(platform)
    old = await keys_on_disk(platform, folder, other)
    await begin(platform)
    done = await take_on(platform, worker)
    assert done.unreadable == 1
    assert await keys(platform, "retired") == old
    assert not old & await keys_on_disk(platform, folder, other)
    path.write_bytes(sound)
    await begin(platform)
    await take_on(platform, worker)
    assert old <= await keys(platform, "destroyed")
    platform.keyring.forget(damaged.org_id)
    assert len(await platform.history(damaged)) > 5


async def test_a_worker_that_cannot_reach_the_folder_keeps_the_keys(
    platform: Platform, folder: EventFolder, tmp_path: Path
) -> None:
    session = await finished(platform)
    old = await keys_on_disk(platform, folder, session)
    await begin(platform)
    await take_on(platform, rotating(platform.pool, None, tmp_path))
    assert await keys(platform, "retired") == old
    assert await platform.history(session)


async def test_files_from_before_there_were_rotations_get_their_organisations_key(postgres_server: str) -> None:
    server = await asyncpg.connect(postgres_server)
    name = f"older_{TimeOrderedIds().new().hex}"
    await server.execute(f'CREATE DATABASE "{name}"')
    await server.close()
    url = postgres_server.replace("/postgres?", f"/{name}?")
    await migrate(url, [migration for migration in shipped() if migration.name < "0014"])
    older = await asyncpg.connect(url)
    org, project, session, key, hmac = (TimeOrderedIds().new() for _ in range(5))
    await older.execute("INSERT INTO organizations (id, name) VALUES ($1, 'org')", org)
    await older.execute("INSERT INTO projects (id, org_id, name) VALUES ($1, $2, 'p')", project, org)
    await older.executemany(
        "INSERT INTO data_keys (id, org_id, purpose, version, wrapped, wrapped_by, status)"
        " VALUES ($1, $2, $3, 1, 'x', 'kek', 'active')",
        [(key, org, "org"), (hmac, org, "hmac")],
    )
    await older.execute(
        "INSERT INTO sessions (id, org_id, project_id, shard, context) VALUES ($1, $2, $3, 0, 'x')",
        session, org, project,
    )  # fmt: skip
    await older.execute(
        "INSERT INTO event_segments (session_id, epoch, part, org_id, shard, first_seq, last_seq, bytes)"
        " VALUES ($1, 1, 0, $2, 0, 1, 1, 1)",
        session, org,
    )  # fmt: skip
    await migrate(url)
    assert await older.fetchval("SELECT key_id FROM event_segments") == key
    await older.close()
