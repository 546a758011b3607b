"""Shards move under load: hosts come, drain, die and sleep, and every step happens once, in order."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from models.events import EventType
from models.plans import For, ListOf, Lit
from models.tenants import SessionScope
from models.tools import Idempotency
from planvault.clock import SystemClock
from planvault.ports import ToolCall
from planvault.runtime.ownership import Ownership
from planvault.storage.drains import drain_cluster
from planvault.storage.leases import PostgresLeases
from planvault.storage.pool import Pool
from tests.integration.runtime.harness import LEASE_S, SHARDS, Platform, World, eventually, open_platform
from tests.unit.engine.plans import ONE_CALL, call, plan, reply, var

STEPS = 6
LOOP = plan(
    For(
        id="n1",
        variable="item",
        iterable=ListOf(items=tuple(Lit(value=number) for number in range(STEPS))),
        body=(call("n2", "step", None, item=var("item")),),
    ),
    reply(Lit(value="done")),
)


class Service:
    """The effect side: counts what arrived, by the step's own key, and never hides a repeat."""

    def __init__(self, pace_s: float = 0.01) -> None:
        self.pace_s = pace_s
        self.requests: Counter[str] = Counter()

    async def answer(self, call: ToolCall) -> None:
        self.requests[call.idempotency_key] += 1
        await asyncio.sleep(self.pace_s)


@pytest.fixture
async def platform(pool: Pool, keys: Path) -> Platform:
    await pool.execute("TRUNCATE sessions, events, commands, runs, hosts CASCADE")
    return await open_platform(pool, keys, World(LOOP))


async def all_done(platform: Platform, sessions: list[SessionScope], times: int = 1) -> None:
    for session in sessions:
        await platform.saw(session, EventType.DONE, times=times, patience_s=60)


async def check_records(platform: Platform, sessions: list[SessionScope]) -> None:
    """Gapless, and no owner wrote below one that came after it."""
    for session in sessions:
        rows = await platform.pool.fetch(
            "SELECT seq, epoch FROM events WHERE session_id = $1 ORDER BY seq", session.session_id
        )
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        epochs = [row["epoch"] for row in rows]
        assert epochs == sorted(epochs)


async def test_hosts_join_and_leave_under_load_and_every_step_happens_once(platform: Platform) -> None:
    """Nothing here may be repeated: a host that leaves waits for what it has on the wire."""
    service = Service()
    platform.world.tool("step", service.answer, Idempotency.NONE)
    sessions = [await platform.session() for _ in range(24)]
    async with AsyncExitStack() as hosts:
        first = await hosts.enter_async_context(platform.host("host-0"))
        for session in sessions:
            await platform.says(session)
        fleet = [first]
        for number in range(1, 4):
            joined = await hosts.enter_async_context(platform.host(f"host-{number}"))
            await eventually(lambda joined=joined: joined.ownership.owned, what="its shards")
            await fleet.pop(0).drain()
            fleet.append(joined)
        await all_done(platform, sessions)
    assert len(service.requests) == len(sessions) * STEPS
    assert set(service.requests.values()) == {1}
    assert {(await platform.history(session))[-1].payload["status"] for session in sessions} == {"completed"}
    await check_records(platform, sessions)


async def test_hosts_killed_under_load_lose_no_step_and_repeat_none_that_may_not_be(platform: Platform) -> None:
    """The service honours keys, so a request that is made again under one is no second effect."""
    service = Service()
    platform.world.tool("step", service.answer, Idempotency.KEYED)
    sessions = [await platform.session() for _ in range(16)]
    for session in sessions:
        await platform.says(session)
    for number in range(2):  # each kills two hosts; a step has three attempts
        async with platform.host(f"victim-{number}") as victim, platform.host(f"other-{number}"):
            await eventually(lambda victim=victim: victim.ownership.owned, what="its shards")
            before = sum(service.requests.values())
            await eventually(lambda before=before: sum(service.requests.values()) > before, what="a step")
    async with platform.host("last"):
        await all_done(platform, sessions)
    assert {(await platform.history(session))[-1].payload["status"] for session in sessions} == {"completed"}
    assert len(service.requests) == len(sessions) * STEPS
    await check_records(platform, sessions)


async def test_prompts_posted_at_once_run_in_the_order_of_arrival_while_their_shard_moves(platform: Platform) -> None:
    platform.world.plan = ONE_CALL
    platform.world.tool("get", lambda call: {"name": "Ada"})
    sessions = [await platform.session() for _ in range(3)]
    posted = [(session, f"{index}/{number}") for index, session in enumerate(sessions) for number in range(16)]
    random.Random(7).shuffle(posted)
    async with platform.host("first") as first:
        await eventually(lambda: first.ownership.owned, what="its shards")
        posting = asyncio.gather(*(platform.says(session, text) for session, text in posted))
        async with platform.host("second") as second:
            await first.drain()
            await posting
            async with platform.host("third"):
                await second.drain()
                await all_done(platform, sessions, times=16)
    for index, session in enumerate(sessions):
        arrived = await platform.pool.fetch(
            "SELECT id FROM commands WHERE session_id = $1 ORDER BY seq", session.session_id
        )
        history = await platform.history(session)
        prompts = [event.payload["content"] for event in history if event.type is EventType.PROMPT]
        ran = [request.prompt for request in platform.world.planned if request.prompt.startswith(f"{index}/")]
        assert len(arrived) == len(prompts) == 16
        assert list(dict.fromkeys(ran)) == prompts  # planning may be made again by the next owner, never out of turn
    await check_records(platform, sessions)


async def test_prompts_that_wait_their_turn_are_seen(platform: Platform) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hold(call: ToolCall) -> dict[str, str]:
        arrived.set()
        await release.wait()
        return {"name": "Ada"}

    platform.world.plan = ONE_CALL
    platform.world.tool("get", hold)
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session, "first")
        await asyncio.wait_for(arrived.wait(), 15)
        await platform.says(session, "second")
        await platform.says(session, "third")
        await platform.saw(session, EventType.PROMPT, times=3)
        assert [run.status.value for run in await platform.runs(session)] == ["queued", "queued", "executing"]
        release.set()
        await platform.saw(session, EventType.DONE, times=3)


async def test_of_two_live_owners_one_commits(platform: Platform) -> None:
    """A deliberate zombie: its lease loop stands still, everything else of it goes on, with dozens of sessions."""
    service = Service(pace_s=0.6)  # a run takes longer than the lease: these are not made ahead of their turn
    platform.world.tool("step", service.answer, Idempotency.KEYED)
    sessions = [await platform.session() for _ in range(16)]
    async with platform.host("zombie") as zombie:
        await eventually(lambda: len(zombie.ownership.owned) == SHARDS, what="all shards")
        for session in sessions:
            await platform.says(session)
        await eventually(lambda: len(zombie._live) == len(sessions), what="all sessions in memory")
        zombie.ownership.tick = _nothing  # type: ignore[method-assign]
        zombie.ownership._deadline = float("inf")  # its clock stands still as well: nothing but the epoch stops it
        believes = dict(zombie.ownership.owned)
        async with platform.host("heir") as heir:
            await all_done(platform, sessions)
            assert len(heir.ownership.owned) == SHARDS
            assert zombie.ownership.owned == believes  # it still thinks that they are its own …
            assert not zombie.ownership.holds  # … but the first refusal has closed its gate: it calls nothing more
            del zombie.ownership.tick  # it wakes up
            await eventually(lambda: not zombie._live, what="its sessions' giving up")
            await eventually(lambda: len(zombie.ownership.owned) == SHARDS // 2, what="its new share")
            assert not zombie.ownership.owned.items() & believes.items()
            service.pace_s = 0.0
            for session in sessions:
                await platform.says(session)
            await all_done(platform, sessions, times=2)
    assert len(service.requests) == 2 * len(sessions) * STEPS
    for session in sessions:
        types = [event.type for event in await platform.history(session)]
        assert types.count(EventType.DONE) == types.count(EventType.PROMPT)
    await check_records(platform, sessions)


async def _nothing() -> None:
    return None


async def test_the_shards_of_a_host_that_died_run_elsewhere_within_two_and_a_half_leases(platform: Platform) -> None:
    """With the default lease of 6 s that is 15 s."""
    service = Service(pace_s=0.2)
    platform.world.tool("step", service.answer, Idempotency.KEYED)
    loop = asyncio.get_running_loop()
    async with platform.host("stays") as stays:
        async with platform.host("dies") as dies:
            await eventually(lambda: len(dies.ownership.owned) == SHARDS // 2, what="its share")
            sessions = [await platform.session() for _ in range(8)]
            for session in sessions:
                await platform.says(session)
            await eventually(lambda: dies._live, what="a session in its memory")
        died = loop.time()
        await eventually(lambda: len(stays.ownership.owned) == SHARDS, what="the move")
        assert loop.time() - died < 2.5 * LEASE_S
        await all_done(platform, sessions)


@asynccontextmanager
async def owner(pool: Pool, host: str, cluster: str, busy: set[int] | None = None) -> AsyncIterator[Ownership]:
    """Who owns what, without sessions."""
    leases = PostgresLeases(pool, host, "test", LEASE_S, cluster)
    await leases.create_shards(SHARDS)
    ownership = Ownership(
        host,
        leases,
        SystemClock(),
        shards=SHARDS,
        lease_s=LEASE_S,
        gained=lambda won: None,
        dropped=lambda lost: None,
        quiet=lambda shard: shard not in (busy or set()),
    )

    async def keep() -> None:
        while True:
            await ownership.tick()
            await asyncio.sleep(LEASE_S / 20)

    task = asyncio.create_task(keep())
    try:
        yield ownership
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def drained(database_url: str, cluster: str, within_s: float = 10.0) -> bool:
    return await drain_cluster(database_url, cluster, within_s=within_s, lease_s=LEASE_S)


async def test_a_cluster_that_is_told_to_gives_all_its_shards_to_the_other_one(
    platform: Platform, database_url: str
) -> None:
    async with owner(platform.pool, "a1", "A") as a1, owner(platform.pool, "a2", "A") as a2:
        await eventually(lambda: a1.owned and a2.owned, what="both shares")
        async with owner(platform.pool, "b1", "B") as b1:
            assert await drained(database_url, "A")
            assert not a1.owned
            assert not a2.owned
            await eventually(lambda: len(b1.owned) == SHARDS, what="all shards")
            await platform.pool.execute("UPDATE cluster_drains SET until = now()")
            await eventually(lambda: a1.owned and a2.owned and b1.owned, what="the end of the order")
    await platform.pool.execute("DELETE FROM cluster_drains")


async def test_draining_waits_for_what_is_on_the_wire_and_has_an_end(platform: Platform, database_url: str) -> None:
    busy = {3}
    async with owner(platform.pool, "a1", "A", busy) as a1:
        await eventually(lambda: len(a1.owned) == SHARDS, what="all shards")
        assert not await drained(database_url, "A", within_s=0.5)
        assert set(a1.owned) == {3}
        busy.clear()
        assert await drained(database_url, "A")
    await platform.pool.execute("DELETE FROM cluster_drains")


async def test_nobody_waits_for_a_host_that_has_died(platform: Platform, database_url: str) -> None:
    async with owner(platform.pool, "dead", "A") as dead:
        await eventually(lambda: len(dead.owned) == SHARDS, what="all shards")
    await platform.pool.execute("UPDATE hosts SET heartbeat_at = now() - interval '1 minute'")
    assert await drained(database_url, "A")
    await platform.pool.execute("DELETE FROM cluster_drains")


async def test_a_database_that_has_gone_holds_nobody_up() -> None:
    assert not await drained("postgresql://postgres@/x?host=/nowhere", "A")
