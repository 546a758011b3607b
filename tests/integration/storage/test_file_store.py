"""Events in files: what counts is what the database committed, whatever lies in the folder."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from models.events import Event, EventType, Visibility
from models.ids import shard_of
from models.tenants import SessionScope
from planvault.clock import TimeOrderedIds
from planvault.errors import BringUpFailed, OutcomeUnknown, OwnershipLost, RecordDamaged, Unrecordable
from planvault.ports import Append, Head, ShardLease
from planvault.storage.files.event_store import FileEventStore
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.history import FileHistory
from planvault.storage.leases import PostgresLeases
from planvault.storage.pool import Pool
from planvault.storage.session_store import SessionStore
from tests.integration.runtime.harness import LEASE_S, SHARDS, Platform, World, open_platform
from tests.unit.engine.plans import ONE_CALL

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Owner:
    """A host that appends to one session."""

    platform: Platform
    store: FileEventStore
    scope: SessionScope
    lease: ShardLease
    seq: int = 0

    def next(self, *payloads: dict[str, Any], type_: EventType = EventType.RUN_PHASE) -> Append:
        visibility = Visibility.ENGINE if type_ is EventType.SNAPSHOT else Visibility.HISTORY
        events = [
            Event(
                session_id=self.scope.session_id,
                seq=self.seq + n,
                type=type_,
                visibility=visibility,
                at=NOON + timedelta(seconds=n),
                payload=payload,
            )
            for n, payload in enumerate(payloads, start=1)
        ]
        return Append(self.scope, self.lease, tuple(events))

    async def append(self, *payloads: dict[str, Any], type_: EventType = EventType.RUN_PHASE) -> None:
        assert await self.store.append([self.next(*payloads, type_=type_)]) == {self.lease.shard}
        self.seq += len(payloads)

    async def takes_over(self) -> "Owner":
        """The next owner of the shard, in a process of its own."""
        await self.platform.pool.execute("UPDATE shard_owner SET owner = NULL WHERE shard = $1", self.lease.shard)
        owner = await owning(self.platform, self.store._folder, self.scope)
        owner.seq = self.seq
        return owner


async def owning(platform: Platform, folder: EventFolder, scope: SessionScope) -> Owner:
    host = f"host-{platform.ids.new()}"
    leases = PostgresLeases(platform.pool, host, "test", LEASE_S)
    await leases.create_shards(SHARDS)
    await leases.beat()
    [lease] = await leases.acquire([shard_of(scope.session_id, SHARDS)])
    return Owner(platform, FileEventStore(platform.pool, platform.keyring, host, folder), scope, lease)


@pytest.fixture
async def platform(pool: Pool, tmp_path: Path) -> Platform:
    platform = await open_platform(pool, tmp_path, World(ONE_CALL))
    await pool.execute("DELETE FROM shard_owner")
    await pool.execute(
        "TRUNCATE data_keys, api_keys, event_store, event_heads, event_segments"
    )  # the keyset lives as long as its test
    return platform


@pytest.fixture
async def owner(platform: Platform, tmp_path: Path) -> Owner:
    folder = EventFolder(tmp_path / "events")
    folder.belongs_to(UUID(int=1))
    return await owning(platform, folder, await platform.session())


async def loaded(owner: Owner) -> list[Any]:
    return [event.payload for event in await owner.store.load(owner.scope)]


def segments(owner: Owner) -> list[Path]:
    return sorted(owner.store._folder.root.rglob("*.events"))


async def test_what_was_appended_is_loaded_as_it_was(owner: Owner) -> None:
    await owner.append({"n": 1}, {"n": 2})
    await owner.append({"n": 3})
    assert await loaded(owner) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert await owner.store.head(owner.scope) == Head(3, owner.lease.epoch)
    assert [event.at for event in await owner.store.load(owner.scope)][:2] == [
        NOON + timedelta(seconds=1),
        NOON + timedelta(seconds=2),
    ]


async def test_no_event_is_a_row_of_the_database_and_none_is_readable_on_disk(owner: Owner) -> None:
    await owner.append({"text": "a canary in the record"})
    assert await owner.platform.pool.fetchval("SELECT count(*) FROM events") == 0
    assert b"canary" not in b"".join(path.read_bytes() for path in segments(owner))


async def test_a_reload_begins_at_the_newest_snapshot(owner: Owner) -> None:
    await owner.append({"n": 1})
    await owner.append({"closed": False, "queue": []}, type_=EventType.SNAPSHOT)
    await owner.append({"n": 3})
    next_owner = await owner.takes_over()
    await next_owner.append({"n": 4})
    assert [event.seq for event in await next_owner.store.load(owner.scope)] == [2, 3, 4]


async def test_another_owner_goes_on_in_a_file_of_its_own(owner: Owner) -> None:
    await owner.append({"n": 1})
    next_owner = await owner.takes_over()
    await next_owner.append({"n": 2})
    assert await loaded(next_owner) == [{"n": 1}, {"n": 2}]
    assert len(segments(owner)) == 2


async def test_a_zombie_s_append_counts_for_nothing_whatever_it_wrote(owner: Owner) -> None:
    await owner.append({"n": 1})
    next_owner = await owner.takes_over()
    assert await owner.store.append([owner.next({"zombie": True})]) == frozenset()
    await next_owner.append({"n": 2})
    assert await owner.store.append([owner.next({"zombie": True})]) == frozenset()
    assert await loaded(next_owner) == [{"n": 1}, {"n": 2}]


async def test_events_that_are_there_already_are_refused(owner: Owner) -> None:
    append = owner.next({"n": 1})
    await owner.append({"n": 1})
    with pytest.raises(OwnershipLost):
        await owner.store.append([append])
    assert await loaded(owner) == [{"n": 1}]


async def test_a_gap_is_refused(owner: Owner) -> None:
    owner.seq = 5
    with pytest.raises(OwnershipLost):
        await owner.store.append([owner.next({"n": 6})])
    assert await owner.store.head(owner.scope) == Head(0, 0)


async def test_a_commit_of_unknown_outcome_that_landed_is_found_and_not_written_again(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owner.append({"n": 1})
    landed = owner.store.ledger.commit

    async def lost(*arguments: Any) -> Any:
        await landed(*arguments)
        raise OutcomeUnknown("the connection died behind the commit")

    append = owner.next({"n": 2})
    with monkeypatch.context() as patched:
        patched.setattr(owner.store.ledger, "commit", lost)
        with pytest.raises(OutcomeUnknown):
            await owner.store.append([append])
    assert await owner.store.head(owner.scope) == Head(2, owner.lease.epoch)
    with pytest.raises(OwnershipLost):
        await owner.store.append([append])
    owner.seq = 2
    await owner.append({"n": 3})
    assert await loaded(owner) == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_bytes_whose_commit_did_not_land_are_never_read(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    await owner.append({"n": 1})

    async def refused(*_: Any) -> Any:
        raise asyncpg.PostgresConnectionError("the server is gone")

    with monkeypatch.context() as patched:
        patched.setattr(owner.store.ledger._database, "apply", refused)
        with pytest.raises(OutcomeUnknown):
            await owner.store.append([owner.next({"lost": True})])
    assert await loaded(owner) == [{"n": 1}]
    await owner.append({"n": 2})
    assert await loaded(owner) == [{"n": 1}, {"n": 2}]
    assert len(segments(owner)) == 2  # behind a doubt nothing is written to the same file


async def test_a_value_that_cannot_be_recorded_leaves_the_session_where_it_was(owner: Owner) -> None:
    await owner.append({"n": 1})
    with pytest.raises(Unrecordable):
        await owner.store.append([owner.next({"value": "\ud800"})])
    await owner.append({"n": 2})
    assert await loaded(owner) == [{"n": 1}, {"n": 2}]


async def test_a_lost_shard_is_dropped_alone_out_of_a_batch(owner: Owner) -> None:
    platform = owner.platform
    scope = await platform.session()
    while shard_of(scope.session_id, SHARDS) == owner.lease.shard:
        scope = await platform.session()
    lost = replace(owner, scope=scope, lease=ShardLease(shard_of(scope.session_id, SHARDS), epoch=1))
    assert await owner.store.append([owner.next({"n": 1}), lost.next({"n": 1})]) == {owner.lease.shard}
    assert await owner.store.head(scope) == Head(0, 0)
    assert await loaded(owner) == [{"n": 1}]


async def test_a_damaged_file_is_named_and_not_read_over(owner: Owner) -> None:
    await owner.append({"n": 1}, {"n": 2})
    [path] = segments(owner)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordDamaged):
        await owner.store.load(owner.scope)


async def test_a_file_that_is_gone_is_named(owner: Owner) -> None:
    await owner.append({"n": 1})
    [path] = segments(owner)
    path.unlink()
    with pytest.raises(RecordDamaged, match="backup"):
        await owner.store.load(owner.scope)


async def test_history_pages_over_files_as_over_the_table(owner: Owner) -> None:
    for n in range(1, 8):
        await owner.append({"n": n})
    owner = await owner.takes_over()
    await owner.append({"closed": False, "queue": []}, type_=EventType.SNAPSHOT)
    for n in range(9, 12):
        await owner.append({"n": n})
    history = FileHistory(owner.platform.pool, owner.platform.keyring, owner.store._folder)
    scope = owner.scope

    def seqs(events: list[Any]) -> list[int]:
        return [event.seq for event in events]

    assert seqs(await history.newest(scope, None, 4)) == [7, 9, 10, 11]
    assert seqs(await history.newest(scope, 7, 3)) == [4, 5, 6]
    assert seqs(await history.after(scope, 0, 100)) == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]
    assert seqs(await history.after(scope, 6, 2)) == [7, 9]
    assert seqs(await history.after(scope, 0, 100, most_bytes=1)) == [1]
    assert seqs(await history.after(scope, 11, 100)) == []
    assert [await history.has_before(scope, seq) for seq in (1, 2)] == [False, True]
    assert await history.heads([(scope.org_id, scope.session_id)]) == {scope.session_id: 11}
    await owner.append({"n": 12})
    assert [event.payload for event in await history.after(scope, 10, 100)] == [{"n": 11}, {"n": 12}]


async def test_a_database_keeps_the_mode_that_it_was_made_with(platform: Platform, tmp_path: Path) -> None:
    ids = TimeOrderedIds()
    files = SessionStore(tmp_path / "events")
    await files.claim(platform.pool, ids)
    await files.claim(platform.pool, ids)
    with pytest.raises(BringUpFailed, match="PLANVAULT_SESSION_STORE=file"):
        await SessionStore(None).claim(platform.pool, ids)


async def test_a_database_from_before_there_were_two_stores_keeps_its_rows(platform: Platform, tmp_path: Path) -> None:
    scope = await platform.session()
    await platform.pool.execute(
        """INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, at, payload)
           VALUES ($1, 1, $2, 0, 1, 'prompt', 'history', 1, now(), 'sealed')""",
        scope.session_id,
        scope.org_id,
    )
    try:
        with pytest.raises(BringUpFailed, match="PLANVAULT_SESSION_STORE=postgres"):
            await SessionStore(tmp_path / "events").claim(platform.pool, TimeOrderedIds())
    finally:
        await platform.pool.execute("DELETE FROM events WHERE session_id = $1", scope.session_id)


async def test_a_folder_of_another_database_is_refused(platform: Platform, tmp_path: Path) -> None:
    EventFolder(tmp_path / "events").belongs_to(UUID(int=99))
    with pytest.raises(BringUpFailed, match="another database"):
        await SessionStore(tmp_path / "events").claim(platform.pool, TimeOrderedIds())


async def test_a_folder_that_others_can_read_is_refused(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "events").mkdir(mode=0o755)
    with pytest.raises(BringUpFailed, match="chmod 0700"):
        await SessionStore(tmp_path / "events").claim(platform.pool, TimeOrderedIds())


async def test_a_database_whose_folder_is_not_there_is_refused_and_said_to_be_unwell(
    owner: Owner, tmp_path: Path
) -> None:
    """A disk that was not mounted must not look like a platform without sessions."""
    pool, ids = owner.platform.pool, TimeOrderedIds()
    store = SessionStore(tmp_path / "mounted")
    await store.claim(pool, ids)
    assert await store.problem(pool) is None
    await owner.append({"n": 1})
    (tmp_path / "mounted").rename(tmp_path / "unmounted")
    assert "backup" in str(await store.problem(pool))
    with pytest.raises(BringUpFailed, match="backup"):
        await store.claim(pool, ids)
    assert not (tmp_path / "mounted").exists()
