"""Hosts over real Postgres: runs finish, survive kills, and repeat nothing that must not be repeated."""

import asyncio
from pathlib import Path

import pytest

from models.commands import CommandKind
from models.events import EventType
from models.ids import SessionId
from models.runs import RunStatus
from models.tools import Idempotency
from planvault.errors import OutcomeUnknown
from planvault.storage.events import PostgresEventStore
from planvault.storage.pool import Pool
from planvault.storage.session_store import SessionStore
from tests.integration.runtime.harness import Platform, World, eventually, open_platform
from tests.unit.engine.plans import ONE_CALL, TWO_CALLS


@pytest.fixture
async def platform(pool: Pool, keys: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Platform:
    world = World(TWO_CALLS)
    world.tool("get", lambda call: {"email": "ada@example.com", "name": "Ada"})
    world.tool("send", lambda call: None, Idempotency.NONE)
    platform = await open_platform(pool, keys, world)
    platform.quick = True
    if getattr(request, "param", "table") == "files":
        platform.session_store = SessionStore(tmp_path / "events")
    return platform


in_both_stores = pytest.mark.parametrize("platform", ["table", "files"], indirect=True)


@in_both_stores
async def test_a_prompt_runs_to_its_reply_and_every_command_is_consumed(platform: Platform) -> None:
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    history = await platform.history(session)
    assert [event.type.value for event in history if event.type.value.startswith("tool_")] == [
        "tool_selection",
        "tool_start",
        "tool_end",
        "tool_start",
        "tool_end",
    ]
    assert history[-1].payload["reply"] == "sent to ada@example.com"
    [run] = await platform.runs(session)
    assert run.status is RunStatus.COMPLETED
    waiting = "SELECT count(*) FROM commands WHERE session_id = $1 AND consumed_at IS NULL"
    assert await platform.pool.fetchval(waiting, session.session_id) == 0


async def test_payloads_are_unreadable_in_the_database(platform: Platform) -> None:
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session, "a very secret question")
        await platform.saw(session, EventType.DONE)
    rows = await platform.pool.fetch("SELECT payload FROM events WHERE session_id = $1", session.session_id)
    blob = b"".join(row["payload"] for row in rows)
    assert b"secret question" not in blob
    assert b"ada@example.com" not in blob


@in_both_stores
async def test_another_host_takes_over_after_a_kill_and_finishes_the_run(platform: Platform) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(call: object) -> None:
        arrived.set()
        await never.wait()

    platform.world.tool("get", hang)
    async with platform.host("first"):
        session = await platform.session()
        await platform.says(session)
        await asyncio.wait_for(arrived.wait(), 15)
    platform.world.tool("get", lambda call: {"email": "ada@example.com"})
    async with platform.host("second"):
        await platform.saw(session, EventType.DONE)
    attempts = [event.payload["attempt"] for event in await platform.history(session) if event.type == "tool_start"]
    assert attempts == [1, 2, 1]
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 1


@in_both_stores
async def test_a_call_without_idempotency_killed_in_flight_is_left_to_the_operator(platform: Platform) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(call: object) -> None:
        arrived.set()
        await never.wait()

    platform.world.tool("send", hang, Idempotency.NONE)
    async with platform.host("first"):
        session = await platform.session()
        await platform.says(session)
        await asyncio.wait_for(arrived.wait(), 15)
    async with platform.host("second"):

        async def lost() -> bool:
            runs = await platform.runs(session)
            return bool(runs) and runs[0].status is RunStatus.NEEDS_MANUAL_RECOVERY

        await eventually(lost, what="manual recovery")
        assert sum(call.tool.name == "send" for call in platform.world.calls) == 1
        await platform.acts(session, CommandKind.RESOLVE, resolution="mark_done", result=None)
        await platform.saw(session, EventType.DONE)
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 1


@in_both_stores
async def test_two_hosts_share_the_shards_and_all_sessions_finish(platform: Platform) -> None:
    async with platform.host("a") as first, platform.host("b") as second:

        def shared() -> bool:
            return len(first.ownership.owned) == len(second.ownership.owned) == 4

        await eventually(shared, what="an even split")
        sessions = [await platform.session() for _ in range(12)]
        for session in sessions:
            await platform.says(session)
        for session in sessions:
            await platform.saw(session, EventType.DONE)
        assert not first.ownership.owned.keys() & second.ownership.owned.keys()


@in_both_stores
async def test_a_drained_host_hands_its_sessions_over(platform: Platform) -> None:
    async with platform.host("a") as first:
        await eventually(lambda: len(first.ownership.owned) == 8, what="all shards")
        async with platform.host("b") as second:
            await first.drain()
            await eventually(lambda: len(second.ownership.owned) == 8, what="all shards")
            session = await platform.session()
            await platform.says(session)
            await platform.saw(session, EventType.DONE)


async def test_a_zombie_commits_nothing_after_a_takeover(platform: Platform) -> None:
    """The old host does not know that its shards were taken; the epoch knows."""
    release = asyncio.Event()
    arrived = asyncio.Event()

    async def wait(call: object) -> dict[str, str]:
        arrived.set()
        await release.wait()
        return {"email": "zombie@example.com"}

    platform.world.tool("get", wait)
    async with platform.host("zombie") as zombie:
        session = await platform.session()
        await platform.says(session)
        await asyncio.wait_for(arrived.wait(), 15)
        zombie.ownership.tick = _frozen  # type: ignore[method-assign]  # its lease loop stands still
        platform.world.tool("get", lambda call: {"email": "heir@example.com"})
        async with platform.host("heir"):
            await platform.saw(session, EventType.DONE)
            release.set()
            await eventually(lambda: session.session_id not in zombie._live, what="the zombie's giving up")
        assert (await platform.history(session))[-1].payload["reply"] == "sent to heir@example.com"


async def _frozen() -> None:
    return None


class FlakyStore(PostgresEventStore):
    """Loses the connection in commits: before the statement, or after it had landed."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.appends = 0

    async def append(self, batch):  # type: ignore[no-untyped-def]
        self.appends += 1
        if self.appends % 3 == 1:
            raise OutcomeUnknown("lost before")
        mine = await super().append(batch)
        if self.appends % 3 == 2:
            raise OutcomeUnknown("lost after")
        return mine


async def test_connections_lost_in_commits_lose_and_repeat_nothing(platform: Platform) -> None:
    async with platform.host("a", store=FlakyStore):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    types = [event.type for event in await platform.history(session)]
    assert types.count(EventType.TOOL_START) == 2
    assert types.count(EventType.DONE) == 1
    assert len(platform.world.calls) == 2


async def test_a_row_that_the_database_refuses_hurts_only_its_own_session(platform: Platform) -> None:
    poisoned: set[SessionId] = set()

    class Poisoned(PostgresEventStore):
        async def append(self, batch):  # type: ignore[no-untyped-def]
            if any(item.scope.session_id in poisoned for item in batch):
                raise ValueError("a row the database refuses")
            return await super().append(batch)

    async with platform.host("a", store=Poisoned):
        sessions = [await platform.session() for _ in range(4)]
        poisoned.add(sessions[0].session_id)
        for session in sessions:
            await platform.says(session)
        for session in sessions[1:]:
            await platform.saw(session, EventType.DONE)
        assert await platform.history(sessions[0]) == []
        poisoned.clear()
        await platform.saw(sessions[0], EventType.DONE)


@in_both_stores
async def test_messages_of_one_session_run_in_order(platform: Platform) -> None:
    platform.world.plan = ONE_CALL
    async with platform.host("a"):
        session = await platform.session()
        for number in range(5):
            await platform.says(session, f"message {number}")
        await platform.saw(session, EventType.DONE, times=5)
    assert [request.prompt for request in platform.world.planned] == [f"message {number}" for number in range(5)]


@in_both_stores
async def test_an_idle_session_leaves_memory_and_comes_back(platform: Platform) -> None:
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
        await eventually(lambda: session.session_id not in host._live, what="eviction")
        await platform.says(session)
        await platform.saw(session, EventType.DONE, times=2)


async def test_commands_that_wait_before_a_call_s_result_do_not_send_it_again(platform: Platform) -> None:
    """Each command applied while the answer queues behind it sees the call's intent still open."""
    session = await platform.session()
    await platform.says(session)
    consumed = "SELECT count(*) FROM commands WHERE session_id = $1 AND kind = 'approve' AND consumed_at IS NOT NULL"

    async def answer_behind_commands(call: object) -> None:
        await asyncio.gather(*(platform.acts(session, CommandKind.APPROVE) for _ in range(20)))

        async def first_applied() -> bool:
            return bool(await platform.pool.fetchval(consumed, session.session_id))

        await eventually(first_applied, what="the first of the commands", pause_s=0)

    platform.world.tool("send", answer_behind_commands, Idempotency.NONE)
    async with platform.host("a"):
        await platform.saw(session, EventType.DONE)
    assert [call.tool.name for call in platform.world.calls] == ["get", "send"]
