"""What is pruned goes, and nothing else: history stays whole, records reload to the same state, open runs go on."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from models.commands import CommandKind
from models.events import EventType
from models.runs import RunStatus
from models.tenants import SessionScope
from models.tools import Idempotency, ToolCallFailure, ToolFailed
from planvault.clock import SystemClock
from planvault.engine.evolve import fold
from planvault.engine.state import SessionState
from planvault.storage.idempotency import Answer, AnswerScope, IdempotencyKey
from planvault.storage.idempotency import Idempotency as Keys
from planvault.storage.pool import Pool
from planvault.storage.retention import Retention, Rule, rules
from tests.integration.runtime.harness import Platform, World, eventually, open_platform
from tests.unit.engine.plans import TWO_CALLS

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def platform(pool: Pool, keys: Path) -> Platform:
    await pool.execute("TRUNCATE sessions, events, pruned_journals, commands, runs, idempotency, hosts CASCADE")
    world = World(TWO_CALLS)
    world.tool("get", lambda call: {"email": "ada@example.com", "name": "Ada"})
    world.tool("send", lambda call: None, Idempotency.NONE)
    return await open_platform(pool, keys, world)


def retention(platform: Platform, recording: timedelta = DAY) -> Retention:
    return Retention(platform.pool, rules(recording), SystemClock())


async def finished(platform: Platform, runs: int = 2) -> SessionScope:
    async with platform.host("a"):
        session = await platform.session()
        for number in range(runs):
            await platform.says(session, f"prompt {number}")
        await platform.saw(session, EventType.DONE, times=runs)
    await free_shards(platform)
    return session


async def free_shards(platform: Platform) -> None:
    """The next host need not wait until the lease of a killed one has run out."""
    await platform.pool.execute("DELETE FROM hosts")


async def age(platform: Platform, session: SessionScope, by: timedelta = timedelta(days=2)) -> None:
    """All that there is of the session becomes older, as if the clock had been set on."""
    for statement in (
        "UPDATE events SET at = at - $2::interval WHERE session_id = $1",
        "UPDATE runs SET updated_at = updated_at - $2::interval WHERE session_id = $1",
        "UPDATE commands SET consumed_at = consumed_at - $2::interval WHERE session_id = $1",
    ):
        await platform.pool.execute(statement, session.session_id, by)


async def engine_types(platform: Platform, session: SessionScope) -> list[str]:
    query = "SELECT type FROM events WHERE session_id = $1 AND visibility = 'engine' ORDER BY seq"
    return [row["type"] for row in await platform.pool.fetch(query, session.session_id)]


async def state(platform: Platform, session: SessionScope) -> SessionState:
    return fold(SessionState(session), await platform.record(session))


async def test_the_journal_of_ended_runs_goes_and_their_history_stays(platform: Platform) -> None:
    session = await finished(platform)
    await age(platform, session)
    history, before = await platform.history(session), await state(platform, session)
    gone = await retention(platform).sweep()
    assert gone["journals"] > 10
    assert gone["commands"] == 2
    assert await engine_types(platform, session) == ["snapshot"]
    assert await platform.history(session) == history
    assert await state(platform, session) == before


async def test_a_pruned_session_goes_on_and_is_pruned_again(platform: Platform) -> None:
    session = await finished(platform)
    await age(platform, session)
    await retention(platform).sweep()
    async with platform.host("b"):
        await platform.says(session, "once more")
        await platform.saw(session, EventType.DONE, times=3)
    assert len(await engine_types(platform, session)) > 1
    await age(platform, session)
    assert (await retention(platform).sweep())["journals"] > 0
    assert await engine_types(platform, session) == ["snapshot"]
    assert [event.type for event in await platform.history(session)].count(EventType.PROMPT) == 3


async def test_what_is_younger_than_its_retention_stays(platform: Platform) -> None:
    session = await finished(platform)
    before = await engine_types(platform, session)
    await age(platform, session, timedelta(hours=23))
    assert sum((await retention(platform).sweep()).values()) == 0
    assert await engine_types(platform, session) == before


async def test_an_open_run_keeps_its_journal_though_it_is_old_and_the_runs_before_it_do_not(
    platform: Platform,
) -> None:
    session = await finished(platform, runs=1)
    lost = ToolFailed(failure=ToolCallFailure.UNKNOWN, code="CONNECTION_LOST", message="the service went away")
    platform.world.tool("send", lambda call: lost, Idempotency.NONE)
    async with platform.host("b"):
        await platform.says(session, "a second time")

        async def asks() -> bool:
            return (await platform.runs(session))[0].status is RunStatus.NEEDS_MANUAL_RECOVERY

        await eventually(asks, what="the question to an operator")
    await free_shards(platform)
    await age(platform, session)
    before = await state(platform, session)
    assert (await retention(platform).sweep())["journals"] > 0
    types = await engine_types(platform, session)
    assert types[0] == "snapshot"
    assert types[1:3] == ["run_opened", "effect_intended"]
    assert await state(platform, session) == before
    async with platform.host("c"):
        await platform.acts(session, CommandKind.RESOLVE, resolution="mark_done", result=None)
        await platform.saw(session, EventType.DONE, times=2)
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 2


async def test_a_command_that_waits_is_never_pruned(platform: Platform) -> None:
    session = await platform.session()
    await platform.says(session)
    await platform.pool.execute("UPDATE commands SET created_at = now() - interval '1 year'")
    assert (await retention(platform, timedelta()).sweep())["commands"] == 0
    async with platform.host("a"):
        await platform.saw(session, EventType.DONE)


async def test_a_sweep_that_was_stopped_is_gone_on_with(platform: Platform) -> None:
    sessions = [await finished(platform, runs=1) for _ in range(3)]
    for session in sessions:
        await age(platform, session)
    one_by_one = Retention(platform.pool, [Rule("journals", DAY, 1)], SystemClock())
    answers = iter([True, False])
    await one_by_one.sweep(lambda: next(answers))
    left = [session for session in sessions if len(await engine_types(platform, session)) > 1]
    assert len(left) == 2
    await one_by_one.sweep()
    assert [await engine_types(platform, session) for session in sessions] == [["snapshot"]] * 3


async def test_two_that_sweep_at_once_lose_and_leave_nothing(platform: Platform) -> None:
    sessions = [await finished(platform, runs=2) for _ in range(3)]
    for session in sessions:
        await age(platform, session)
    histories = [await platform.history(session) for session in sessions]
    pruners = [Retention(platform.pool, [Rule("journals", DAY, 1)], SystemClock()) for _ in range(4)]
    await asyncio.gather(*(pruner.sweep() for pruner in pruners))
    assert [await engine_types(platform, session) for session in sessions] == [["snapshot"]] * 3
    assert [await platform.history(session) for session in sessions] == histories


async def test_sessions_run_on_while_everything_that_may_go_goes(platform: Platform) -> None:
    """The shortest retention there is, and no mercy for clocks: each run's journal goes as soon as it has ended."""
    pruner = Retention(platform.pool, rules(timedelta(minutes=-11)), SystemClock())
    async with platform.host("a"):
        sessions = [await platform.session() for _ in range(8)]
        pruning = asyncio.create_task(_for_ever(pruner))
        for number in range(4):
            for session in sessions:
                await platform.says(session, f"prompt {number}")
        for session in sessions:
            await platform.saw(session, EventType.DONE, times=4, patience_s=40)
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)
    assert sum(call.tool.name == "send" for call in platform.world.calls) == 8 * 4
    await pruner.sweep()
    for session in sessions:
        types = [event.type for event in await platform.history(session)]
        assert types.count(EventType.TOOL_END) == 8
        assert await engine_types(platform, session) == ["snapshot"]


async def _for_ever(pruner: Retention) -> None:
    while True:
        await pruner.sweep()
        await asyncio.sleep(0)


async def test_kept_answers_go_after_a_day_whose_ever_they_are(platform: Platform) -> None:
    async def work(connection: object) -> Answer:
        return Answer(204)

    for number in range(3):
        project = platform.ids.new()
        await platform.pool.execute(
            "INSERT INTO projects (id, org_id, name) VALUES ($1, $2, $3)", project, platform.scope.org_id, str(project)
        )
        scope = AnswerScope(platform.scope.org_id, project)
        key = IdempotencyKey("PUT /x", f"k-{number}", b"1" * 32)
        await Keys(platform.pool, platform.keyring).once(scope, key, work)
    await platform.pool.execute("UPDATE idempotency SET created_at = now() - interval '25 hours' WHERE key <> 'k-2'")
    assert (await retention(platform).sweep())["answers"] == 2
    assert [row["key"] for row in await platform.pool.fetch("SELECT key FROM idempotency")] == ["k-2"]


async def test_pruning_reads_no_history_again(platform: Platform) -> None:
    """The second prune of a session begins where the first one ended."""
    session = await finished(platform, runs=3)
    await age(platform, session)
    await retention(platform).sweep()
    below = await platform.pool.fetchval("SELECT below FROM pruned_journals WHERE session_id = $1", session.session_id)
    first = await platform.pool.fetchval("SELECT max(seq) FROM events WHERE session_id = $1", session.session_id)
    assert below == first
