"""Runs that wait cost a row: nothing in memory, nothing lost with a host, and they go on when their time has come."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from models.commands import CommandKind
from models.events import EventType
from models.plans import Lit
from models.runs import RunStatus
from models.tenants import SessionScope
from models.tools import Idempotency, ToolCallFailure, ToolFailed
from planvault.runtime import host as host_module
from planvault.runtime.host import SessionRuntime
from planvault.storage.pool import Pool
from planvault.storage.signals import PostgresSignals
from tests.integration.runtime.harness import Platform, World, eventually, open_platform
from tests.unit.engine.plans import call, plan, reply, var


@pytest.fixture
async def platform(pool: Pool, keys: Path) -> Platform:
    world = World(plan(reply(Lit(value=1))))
    for name in ("sleep", "wait_for_signal"):
        world.tool(name, _never, Idempotency.DECLARED)
    world.tool("get", lambda call: "got")
    opened = await open_platform(pool, keys, world)
    opened.quick = True
    return opened


def _never(_: Any) -> Any:
    raise AssertionError("a wait is no call")


def sleeping(seconds: float) -> Any:
    return plan(call("n1", "sleep", None, seconds=Lit(value=seconds)), call("n2", "get", "x"), reply(var("x")))


async def row_of(platform: Platform, session: SessionScope) -> Any:
    return await platform.pool.fetchrow(
        "SELECT status, wake_at, wake_at - now() AS left FROM runs WHERE session_id = $1 AND is_open",
        session.session_id,
    )


async def parked(platform: Platform, host: SessionRuntime, session: SessionScope) -> None:
    """Until the run's row says when it is due, and nothing of the session is in memory."""

    async def is_parked() -> bool:
        row = await row_of(platform, session)
        return row is not None and row["wake_at"] is not None and host.stats["sessions"] == 0

    await eventually(is_parked, what="the session out of memory")


async def due_in(platform: Platform, session: SessionScope, seconds: float) -> None:
    """Move the wait's end in the record's stead: what a test does not want to wait for."""
    await platform.pool.execute(
        "UPDATE runs SET wake_at = now() + make_interval(secs => $2) WHERE session_id = $1 AND is_open",
        session.session_id,
        float(seconds),
    )


async def test_a_long_sleep_leaves_no_session_in_memory_and_a_takeover_leaves_it_alone(platform: Platform) -> None:
    platform.world.plan = sleeping(3_000)
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await parked(platform, host, session)
    row = await row_of(platform, session)
    assert row["status"] == "executing"
    assert 2_900 < row["left"].total_seconds() <= 3_000
    [run] = await platform.runs(session)
    assert run.pending is not None
    assert run.pending["kind"] == "timer"
    async with platform.host("b") as host:
        other = await platform.session()
        platform.world.plan = plan(reply(Lit(value="quick")))
        await platform.says(other)
        await platform.saw(other, EventType.DONE)
        await eventually(lambda: host.stats["sessions"] == 0, what="an empty memory")
    assert [event.type for event in await platform.history(session)].count(EventType.DONE) == 0


async def test_a_sleep_goes_on_in_another_host_when_its_time_has_come(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "_KEEP_S", 0.5)  # so that a short sleep leaves the memory too
    monkeypatch.setattr(host_module, "_AHEAD_S", 0.2)
    platform.world.plan = sleeping(4)
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await parked(platform, host, session)
    async with platform.host("b"):
        await platform.saw(session, EventType.DONE)
    [run] = await platform.runs(session)
    assert run.status is RunStatus.COMPLETED
    started = [event.at for event in await platform.history(session) if event.type is EventType.TOOL_START]
    assert (started[1] - started[0]).total_seconds() >= 4
    assert await platform.pool.fetchval("SELECT wake_at FROM runs WHERE session_id = $1", session.session_id) is None


async def test_a_row_that_says_due_too_early_changes_nothing(platform: Platform) -> None:
    """The record decides; the row is what the host looks for."""
    platform.world.plan = sleeping(3_000)
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await parked(platform, host, session)
        before = len(await platform.record(session))
        await due_in(platform, session, 0)
        await eventually(lambda: host.stats["sessions"] == 1, what="the session loaded")
        assert len(await platform.record(session)) == before


async def test_an_answer_reaches_a_run_whose_session_left_the_memory(platform: Platform) -> None:
    platform.world.plan = sleeping(3_000)
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await parked(platform, host, session)
        await platform.acts(session, CommandKind.CANCEL)
        await platform.saw(session, EventType.DONE)
    [run] = await platform.runs(session)
    assert run.status is RunStatus.CANCELLED


async def test_a_prompt_behind_a_sleeping_run_is_a_queued_run(platform: Platform) -> None:
    platform.world.plan = sleeping(3_000)
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await parked(platform, host, session)
        await platform.says(session, "and then")

        async def is_queued() -> bool:
            return [run.status for run in await platform.runs(session)] == [RunStatus.QUEUED, RunStatus.EXECUTING]

        await eventually(is_queued, what="a queued run")
        queued, running = await platform.runs(session)
        platform.world.plan = plan(reply(Lit(value="next")))
        await platform.acts(session, CommandKind.CANCEL, run_id=running.id)
        await platform.saw(session, EventType.DONE, times=2)
    newest, oldest = await platform.runs(session)
    assert (newest.id, newest.status) == (queued.id, RunStatus.COMPLETED)
    assert oldest.status is RunStatus.CANCELLED


async def test_a_wait_for_a_signal_is_opened_closed_and_failed_by_whatever_host_is_there(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "_KEEP_S", 0.5)
    monkeypatch.setattr(host_module, "_AHEAD_S", 0.2)
    wait = call("n1", "wait_for_signal", "x", name=Lit(value="paid"), timeoutSeconds=Lit(value=3))
    platform.world.plan = plan(wait, reply(var("x")))
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.AWAITING_SIGNAL)
        await parked(platform, host, session)
    statuses = "SELECT status FROM signals WHERE session_id = $1"
    assert await platform.pool.fetchval(statuses, session.session_id) == "open"
    async with platform.host("b"):
        await platform.saw(session, EventType.SIGNAL_TIMED_OUT)
        await platform.saw(session, EventType.DONE)
    assert await platform.pool.fetchval(statuses, session.session_id) == "expired"
    [run] = await platform.runs(session)
    assert (run.status, run.reason) == (RunStatus.FAILED, "SIGNAL_TIMED_OUT")


async def test_a_wait_whose_host_died_while_it_was_being_closed_ends_all_the_same(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = asyncio.Event()

    async def silent(*_: Any) -> bool:
        closing.set()
        return await asyncio.Event().wait()

    wait = call("n1", "wait_for_signal", "x", name=Lit(value="paid"), timeoutSeconds=Lit(value=1))
    platform.world.plan = plan(wait, reply(var("x")))
    with monkeypatch.context() as patched:
        patched.setattr(PostgresSignals, "close", silent)
        async with platform.host("a"):
            session = await platform.session()
            await platform.says(session)
            await asyncio.wait_for(closing.wait(), 15)
    async with platform.host("b"):
        await platform.saw(session, EventType.SIGNAL_TIMED_OUT)
        await platform.saw(session, EventType.DONE)


async def test_credentials_that_change_wake_the_run_that_was_not_let_in(platform: Platform) -> None:
    let_in = False

    def guarded(_: Any) -> Any:
        failed = ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="HTTP_401", message="no", status=401)
        return "in" if let_in else failed

    platform.world.tool("guarded", guarded, Idempotency.NONE)
    platform.world.plan = plan(call("n1", "guarded", "x"), reply(var("x")))
    async with platform.host("a") as host:
        session = await platform.session()
        await platform.says(session)
        await parked(platform, host, session)
        assert (await row_of(platform, session))["status"] == "awaiting_reauth"
        let_in = True
        await platform.acts(session, CommandKind.CREDENTIALS_CHANGED)
        await platform.saw(session, EventType.DONE)
    assert (await platform.history(session))[-1].payload["reply"] == "in"


async def test_a_question_that_nobody_answers_interrupts_the_run(platform: Platform) -> None:
    """Its deadline is in the record; here the row is due at once, and the engine compares with its own."""
    platform.world.tool(
        "guarded", lambda _: ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="HTTP_401", message="no")
    )
    platform.world.plan = plan(call("n1", "guarded", "x"), reply(var("x")))
    await platform.pool.execute(
        "UPDATE projects SET settings = jsonb_set(settings, '{limits,reauth_expires_s}', '1') WHERE id = $1",
        platform.scope.project_id,
    )
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    [run] = await platform.runs(session)
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "reauth_expired")


async def test_the_wall_clock_ends_a_call_that_reads_for_too_long(platform: Platform) -> None:
    async def slow(_: Any) -> Any:
        await asyncio.Event().wait()

    platform.world.tool("slow", slow)
    platform.world.plan = plan(call("n1", "slow", "x"), reply(var("x")))
    await platform.pool.execute(
        "UPDATE projects SET settings = jsonb_set(settings, '{limits,max_wall_clock_s}', '1') WHERE id = $1",
        platform.scope.project_id,
    )
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    [run] = await platform.runs(session)
    assert (run.status, run.reason) == (RunStatus.FAILED, "LIMIT_WALL_CLOCK")


async def test_runs_that_are_due_together_go_on_page_by_page(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "_MOST_DUE", 2)
    platform.world.plan = sleeping(1)
    sessions = [await platform.session() for _ in range(7)]
    async with platform.host("a"):
        for session in sessions:
            await platform.says(session)
        for session in sessions:
            await platform.saw(session, EventType.TOOL_START)
    async with platform.host("b"):
        for session in sessions:
            await platform.saw(session, EventType.DONE)
