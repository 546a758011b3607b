"""Journals that go out of event files: history stays whole, records reload to the same state, whatever is killed."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path

import pytest

from models.events import EventType, Visibility
from models.tenants import SessionScope
from models.tools import Idempotency
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import decode, places
from planvault.storage.files.history import FileHistory
from planvault.storage.files.pruning import JournalFiles, LeftoverFiles
from planvault.storage.files.reader import committed
from planvault.storage.history import HistoryEvent
from planvault.storage.pool import Pool
from planvault.storage.retention import Retention, Swept, rules
from planvault.storage.session_store import SessionStore
from tests.integration.runtime.harness import Platform, World, open_platform
from tests.integration.storage.file_room import Killed, Mortal, files, finished, state
from tests.unit.engine.plans import TWO_CALLS

AT_ONCE = timedelta(minutes=-11)  # no mercy for clocks: a journal goes as soon as its run has ended


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def platform(pool: Pool, keys: Path, tmp_path: Path) -> Platform:
    await pool.execute("TRUNCATE sessions, event_store, event_leftovers, hosts CASCADE")
    world = World(TWO_CALLS)
    world.tool("get", lambda call: {"email": "ada@example.com", "name": "Ada"})
    world.tool("send", lambda call: None, Idempotency.NONE)
    platform = await open_platform(pool, keys, world)
    platform.session_store = SessionStore(tmp_path / "events")
    await platform.session_store.claim(pool, platform.ids)
    return platform


@pytest.fixture
def folder(tmp_path: Path) -> EventFolder:
    return EventFolder(tmp_path / "events")


async def sweep(platform: Platform, recording: timedelta = AT_ONCE) -> dict[str, int]:
    prunings = platform.session_store.prunings(recording)
    return await Retention(platform.pool, rules(recording, prunings), SystemClock()).sweep()


async def engine_types(platform: Platform, folder: EventFolder, session: SessionScope) -> list[str]:
    """Of every event that counts."""
    found = []
    for segment in await committed(platform.pool, folder, session.org_id, session.session_id):
        data = segment.path.read_bytes()[: segment.size]
        frames = [decode(data, place.offset) for place in places(data)]
        found += [frame.type.value for frame in frames if frame.visibility is Visibility.ENGINE]
    return found


async def left_to_prune(platform: Platform) -> int:
    return int(await platform.pool.fetchval("SELECT count(*) FROM runs WHERE NOT pruned"))


async def test_the_journal_of_ended_runs_goes_and_their_history_stays(platform: Platform, folder: EventFolder) -> None:
    session = await finished(platform)
    history, before = await platform.history(session), await state(platform, session)
    assert (await sweep(platform))["journals"] > 10
    assert await engine_types(platform, folder, session) == ["snapshot"]
    assert await platform.history(session) == history
    assert await state(platform, session) == before
    assert await left_to_prune(platform) == 0


async def test_files_of_many_owners_become_one_and_each_page_of_history_is_as_it_was(
    platform: Platform, folder: EventFolder
) -> None:
    session = await finished(platform)
    for _ in range(3):
        await finished(platform, session, runs=1)
    reader = FileHistory(platform.pool, platform.keyring, folder)

    async def pages() -> list[list[HistoryEvent]]:
        seqs = range(0, 60, 7)
        return [await reader.after(session, seq, 5) for seq in seqs] + [
            await reader.newest(session, s, 5) for s in seqs
        ]

    before = await pages()
    assert len(files(folder)) == 4
    await sweep(platform)
    assert await pages() == before
    rows = await committed(platform.pool, folder, session.org_id, session.session_id)
    assert len(rows) == 1
    assert len(files(folder)) == 5  # the others go when nobody can be reading them any more


async def test_what_is_younger_than_its_retention_stays(platform: Platform, folder: EventFolder) -> None:
    session = await finished(platform)
    before = await engine_types(platform, folder, session)
    assert sum((await sweep(platform, timedelta(hours=1))).values()) == 0
    assert await engine_types(platform, folder, session) == before
    assert await left_to_prune(platform) == 2


async def test_a_host_whose_file_was_replaced_goes_on_in_another(platform: Platform, folder: EventFolder) -> None:
    """It holds the file open and knows nothing of the pruning until its next append."""
    session = await platform.session()
    async with platform.host("a"):
        for number in range(1, 4):
            await platform.says(session, f"prompt {number}")
            await platform.saw(session, EventType.DONE, times=number)
            assert (await sweep(platform))["journals"] > 0
    assert await engine_types(platform, folder, session) == ["snapshot"]
    assert [event.type for event in await platform.history(session)].count(EventType.PROMPT) == 3
    epochs = await platform.pool.fetch("SELECT epoch FROM event_segments WHERE session_id = $1", session.session_id)
    assert len({row["epoch"] for row in epochs}) == 1, "the host lost its session over it"


async def test_sessions_run_on_while_everything_that_may_go_goes(platform: Platform, folder: EventFolder) -> None:
    async def for_ever() -> None:
        while True:
            await sweep(platform)
            await LeftoverFiles(folder, AT_ONCE, 100).once(platform.pool)

    async with platform.host("a"):
        sessions = [await platform.session() for _ in range(4)]
        pruning = asyncio.create_task(for_ever())
        for number in range(4):
            for session in sessions:
                await platform.says(session, f"prompt {number}")
        for session in sessions:
            await platform.saw(session, EventType.DONE, times=4, patience_s=40)
        assert not pruning.done()
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 4 * 4
    await sweep(platform)
    for session in sessions:
        types = [event.type for event in await platform.history(session)]
        assert types.count(EventType.TOOL_END) == 8
        assert await engine_types(platform, folder, session) == ["snapshot"]


async def test_a_pruner_killed_at_any_step_loses_nothing_and_leaves_no_file_behind(
    platform: Platform, folder: EventFolder
) -> None:
    session = await finished(platform)
    await finished(platform, session, runs=1)
    history, before = await platform.history(session), await state(platform, session)

    async def survives(kind: type[JournalFiles | LeftoverFiles], at: int, *, behind: bool = False) -> bool:
        steps = itertools.count(1)
        where, pool = (Mortal(inner, steps, at, behind) for inner in (folder, platform.pool))
        try:
            await kind(where, AT_ONCE, 50).once(pool)  # type: ignore[arg-type]
        except Killed:
            return False
        finally:
            assert await platform.history(session) == history
            assert await state(platform, session) == before
        return True

    deaths = 0
    while not await survives(JournalFiles, deaths + 1):
        deaths += 1
        assert await left_to_prune(platform) == 3
    assert deaths == 14
    assert not await survives(LeftoverFiles, 1)
    assert not await survives(LeftoverFiles, 1, behind=True)  # doomed, and still there
    assert not await survives(LeftoverFiles, 2)  # gone, and not forgotten
    assert await survives(LeftoverFiles, 3)
    assert await engine_types(platform, folder, session) == ["snapshot"]
    assert len(files(folder)) == 1
    assert await platform.pool.fetchval("SELECT count(*) FROM event_leftovers") == 0


async def test_a_file_that_came_to_be_removed_meanwhile_does_not_count(platform: Platform, folder: EventFolder) -> None:
    """Its writer was frozen between writing it and its commit, and wakes up."""
    session = await finished(platform)
    history = await platform.history(session)

    class Frozen(EventFolder):
        def write(self, path: Path, data: bytes) -> None:
            super().write(path, data)
            asyncio.run_coroutine_threadsafe(other.once(platform.pool), loop).result()

    loop = asyncio.get_running_loop()
    other = LeftoverFiles(folder, AT_ONCE, 50)
    assert await JournalFiles(Frozen(folder.root), AT_ONCE, 50).once(platform.pool) == Swept(0, 0)
    assert await platform.history(session) == history
    assert await left_to_prune(platform) == 2
    await sweep(platform)
    assert await platform.history(session) == history


async def test_two_that_sweep_at_once_lose_and_leave_nothing(platform: Platform, folder: EventFolder) -> None:
    sessions = [await finished(platform) for _ in range(2)]
    histories = [await platform.history(session) for session in sessions]
    await asyncio.gather(*(JournalFiles(folder, AT_ONCE, 1).once(platform.pool) for _ in range(4)))
    await sweep(platform)
    assert [await platform.history(session) for session in sessions] == histories
    assert [await engine_types(platform, folder, session) for session in sessions] == [["snapshot"]] * 2
    await LeftoverFiles(folder, AT_ONCE, 100).once(platform.pool)
    assert len(files(folder)) == 2


async def test_a_damaged_record_is_left_alone_and_holds_up_no_other(platform: Platform, folder: EventFolder) -> None:
    damaged = await finished(platform)
    [path] = folder.root.rglob("*.events")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    other = await finished(platform)
    pruner = JournalFiles(folder, AT_ONCE, 1)
    while (await pruner.once(platform.pool)).looked_at or await left_to_prune(platform) > 2:
        pass
    assert await engine_types(platform, folder, other) == ["snapshot"]
    assert path.read_bytes() == data
    unpruned = await platform.pool.fetch("SELECT DISTINCT session_id FROM runs WHERE NOT pruned")
    assert [row["session_id"] for row in unpruned] == [damaged.session_id]


async def test_the_files_of_a_session_that_is_gone_go_too(platform: Platform, folder: EventFolder) -> None:
    session = await finished(platform)
    kept = await finished(platform)
    await platform.pool.execute("DELETE FROM sessions WHERE id = $1", session.session_id)
    await LeftoverFiles(folder, AT_ONCE, 100).once(platform.pool)
    assert [path.name for path in folder.root.glob("*/*")] == [str(kept.session_id)]


async def test_rows_are_pruned_as_rows_and_files_as_files_only(platform: Platform) -> None:
    """Whoever sweeps with the other mode's settings marks no run as pruned."""
    await finished(platform)
    await Retention(platform.pool, rules(AT_ONCE), SystemClock()).sweep()
    assert await left_to_prune(platform) == 2
    await platform.pool.execute("TRUNCATE event_store")
    await SessionStore(None).claim(platform.pool, TimeOrderedIds())
    await sweep(platform)
    assert await left_to_prune(platform) == 2
