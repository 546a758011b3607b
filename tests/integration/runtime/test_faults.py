"""What breaks hurts only its own session, and nothing waits for ever."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from models.commands import CommandKind
from models.events import EventType
from models.plans import For, ListOf, Lit, Slot, SlotType
from models.tools import Idempotency
from planvault.errors import Unavailable
from planvault.ports import ToolCall
from planvault.storage.events import PostgresEventStore
from planvault.storage.pool import Pool
from tests.integration.runtime import harness
from tests.integration.runtime.harness import SHARDS, Platform, World, eventually, open_platform
from tests.unit.engine.plans import ONE_CALL, call, plan, reply, var


@pytest.fixture
async def platform(pool: Pool, keys: Path) -> Platform:
    world = World(ONE_CALL)
    world.tool("get", lambda call: {"name": "Ada"})
    world.tool("send", lambda call: None, Idempotency.NONE)
    opened = await open_platform(pool, keys, world)
    opened.quick = True
    return opened


async def test_a_session_whose_record_cannot_be_read_keeps_no_other_waiting(platform: Platform) -> None:
    async with platform.host("a"):
        broken = await platform.session()
        await platform.says(broken)
        await platform.saw(broken, EventType.DONE)
    await platform.pool.execute("UPDATE events SET payload = 'x' WHERE session_id = $1", broken.session_id)
    await platform.says(broken)
    async with platform.host("b"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)


async def test_a_command_of_a_newer_build_waits_and_keeps_no_other_session_waiting(platform: Platform) -> None:
    ahead = await platform.session()
    await platform.says(ahead)
    of_ahead = "UPDATE commands SET kind = $2 WHERE session_id = $1"
    await platform.pool.execute(of_ahead, ahead.session_id, "from_the_future")
    await platform.says(ahead)
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
        assert await platform.history(ahead) == []
        await platform.pool.execute(of_ahead, ahead.session_id, "message")
        await platform.saw(ahead, EventType.DONE, times=2)


async def test_a_call_that_could_not_be_prepared_is_tried_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lookups = harness.CatalogTwin.binding, 0

    async def binding(self: harness.CatalogTwin, scope: Any, tool: Any) -> Any:
        nonlocal lookups
        lookups += 1
        if lookups == 2:  # the first is planning's
            raise ConnectionRefusedError("the database is away")
        return await real(self, scope, tool)

    monkeypatch.setattr(harness.CatalogTwin, "binding", binding)
    monkeypatch.setattr("planvault.runtime.tool_cache._TARGET_S", 0.0)
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    assert (await platform.history(session))[-1].payload["reply"] == "Ada"
    assert len(platform.world.calls) == 1


async def test_a_result_that_the_record_cannot_hold_ends_the_run_after_one_call(platform: Platform) -> None:
    """A lone surrogate: services can send one under an exotic charset."""
    platform.world.tool("get", lambda call: {"name": "\ud800"})
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    [error] = [event for event in await platform.history(session) if event.type is EventType.ERROR]
    assert error.payload["code"] == "RESULT_UNUSABLE"
    assert len(platform.world.calls) == 1


async def test_a_command_that_cannot_be_applied_is_consumed_and_those_behind_it_count(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OverflowError("a fault of ours")

    platform.world.plan = plan(reply(var("n")), slots=(Slot(variable="n", prompt="?", type=SlotType.INTEGER),))
    monkeypatch.setattr("planvault.engine.answers.fill", broken)
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.SLOTS_REQUIRED)
        await platform.acts(session, CommandKind.FILL_SLOTS, values={"n": 1})
        await platform.acts(session, CommandKind.CANCEL)
        await platform.saw(session, EventType.DONE)
    assert (await platform.history(session))[-1].payload["status"] == "cancelled"


async def test_a_shard_is_not_given_back_while_an_append_of_it_may_intend_a_call(platform: Platform) -> None:
    """Given back then, its next owner would find an intent without a witness for a call that never went out."""
    landed, answer = asyncio.Event(), asyncio.Event()

    class Slow(PostgresEventStore):
        async def append(self, batch):  # type: ignore[no-untyped-def]
            mine = await super().append(batch)
            if any(event.type is EventType.TOOL_START for item in batch for event in item.events):
                landed.set()
                await answer.wait()
            return mine

    platform.world.plan = plan(call("n1", "send"), reply(Lit(value="sent")))
    async with platform.host("a", store=Slow) as first, platform.host("b"):
        await eventually(lambda: first.ownership.owned, what="shards")
        session = await platform.session()
        while harness.shard_of(session.session_id, SHARDS) not in first.ownership.owned:
            session = await platform.session()
        await platform.says(session)
        await asyncio.wait_for(landed.wait(), 15)
        first.ownership.draining = True
        await first.ownership.tick()
        answer.set()
        await platform.saw(session, EventType.DONE)
    assert (await platform.history(session))[-1].payload["reply"] == "sent"
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 1


async def test_a_host_is_drained_in_the_middle_of_a_long_run_and_no_call_is_lost_or_repeated(
    platform: Platform,
) -> None:
    """The result of a call and the intent of the next travel together: a run would never stand still by itself."""
    turns = 40
    under_way = asyncio.Event()

    async def slow(call: ToolCall) -> None:
        under_way.set()
        await asyncio.sleep(0.1)

    platform.world.tool("send", slow, Idempotency.NONE)
    items = ListOf(items=tuple(Lit(value=turn) for turn in range(turns)))
    loop = For(id="n1", variable="turn", iterable=items, body=(call("n2", "send", turn=var("turn")),))
    platform.world.plan = plan(loop, reply(Lit(value="sent")))
    async with platform.host("a") as first:
        session = await platform.session()
        await platform.says(session)
        await asyncio.wait_for(under_way.wait(), 15)
        await first.drain()
        assert len(platform.world.calls) < turns
    async with platform.host("b"):
        await platform.saw(session, EventType.DONE)
    assert [call.args["turn"] for call in platform.world.calls] == list(range(turns))


async def test_commands_read_under_a_lease_that_has_passed_are_not_applied_again(platform: Platform) -> None:
    read, hand_over = asyncio.Event(), asyncio.Event()

    class Slow(PostgresEventStore):
        async def waiting(self, *args: Any) -> Any:
            entries = await super().waiting(*args)
            if entries and not read.is_set():
                read.set()
                await hand_over.wait()
            return entries

    async with platform.host("a", store=Slow) as first:
        await eventually(lambda: len(first.ownership.owned) == SHARDS, what="all shards")
        session = await platform.session()
        await platform.says(session)
        await asyncio.wait_for(read.wait(), 15)
        first.ownership.draining = True
        await eventually(lambda: not first.ownership.owned, what="giving back")
        async with platform.host("b") as second:
            await platform.saw(session, EventType.DONE)
            first.ownership.draining = False
            await second.drain()
        await eventually(lambda: len(first.ownership.owned) == SHARDS, what="all shards again")
        hand_over.set()
        await platform.says(session, "again")
        await platform.saw(session, EventType.DONE, times=2)
    assert sum(event.type is EventType.PROMPT for event in await platform.history(session)) == 2


async def test_a_runtime_that_ends_leaves_no_session_running(platform: Platform) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(call: object) -> None:
        arrived.set()
        await never.wait()

    platform.world.tool("get", hang)
    before = asyncio.all_tasks()
    runtime = platform.runtime("a")
    task = asyncio.create_task(runtime.run())
    session = await platform.session()
    await platform.says(session)
    await asyncio.wait_for(arrived.wait(), 15)
    task.cancel()
    await asyncio.wait({task})
    await eventually(lambda: not asyncio.all_tasks() - before, what="the end of every task")


async def test_a_load_that_fails_lets_no_other_load_go_on_behind_its_back(platform: Platform) -> None:
    """A session that is loaded twice has two owners in one process."""
    sessions = [await platform.session() for _ in range(2)]
    second_loads, again = asyncio.Event(), asyncio.Event()
    loads: list[object] = []
    loaded: list[object] = []

    class Flaky(PostgresEventStore):
        async def load(self, scope):  # type: ignore[no-untyped-def]
            if scope not in sessions:
                return await super().load(scope)
            loads.append(scope)
            if len(loads) == 1:
                await second_loads.wait()
                raise Unavailable("the database is away")
            if len(loads) == 2:
                second_loads.set()
                await again.wait()  # slow: still at it when the inbox is read the next time
            elif scope == loads[1]:
                again.set()
            events = await super().load(scope)
            loaded.append(scope)
            return events

    for session in sessions:
        await platform.says(session)
    async with platform.host("a", store=Flaky):
        for session in sessions:
            await platform.saw(session, EventType.DONE)
        assert [loaded.count(session) for session in sessions] == [1, 1]
