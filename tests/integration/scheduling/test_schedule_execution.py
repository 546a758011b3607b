"""A plan that schedules a prompt, through a real host: one job a step, whatever dies around the insert."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.events import EventType
from models.plans import Arg, Call, Expr, ListOf, Lit
from models.policies import SessionSettings
from models.runs import RunStatus
from models.schedules import JobStatus
from models.tenants import SessionScope
from models.tools import Idempotency
from planvault.clock import SystemClock
from planvault.errors import Unavailable
from planvault.ports import Scheduled, ScheduleOrder, ToolCall
from planvault.scheduling.from_plans import PostgresScheduling
from planvault.storage.pool import Pool, transaction
from planvault.storage.scheduled_jobs import JobFilter, JobRecord
from planvault.storage.sessions import SessionDraft
from planvault.tools.native import NativeExecutor
from tests.integration.runtime.harness import Platform, World, eventually, open_platform
from tests.integration.scheduling.conftest import Desk
from tests.unit.engine.plans import ONE_CALL, plan, reply, var


class Port:
    """The real Scheduling port between two hooks; counts the orders that reach it."""

    def __init__(self, inner: PostgresScheduling) -> None:
        self._inner = inner
        self.orders: list[ScheduleOrder] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None

    async def schedule(self, scope: SessionScope, order: ScheduleOrder) -> Scheduled:
        self.orders.append(order)
        if self.before is not None:
            await self.before()
        made = await self._inner.schedule(scope, order)
        if self.after is not None:
            await self.after()
        return made


class Stage:
    """Hosts that run one plan, and the project's jobs."""

    def __init__(self, platform: Platform, desk: Desk) -> None:
        self.platform, self.desk = platform, desk
        self.port = Port(PostgresScheduling(desk.pool, desk.keyring, desk.sessions, desk.bookings))

    def host(self, name: str) -> Any:
        return self.platform.host(name, executor=Executor(self))

    def schedules(self, **args: Expr) -> None:
        """The plan is one call of the tool."""
        given = tuple(Arg(name=name, expr=expr) for name, expr in args.items())
        step = Call(id="n1", tool="schedule_execution", target="job", args=given)
        self.platform.world.plan = plan(step, reply(var("job")))

    async def run(self, session: SessionScope | None = None) -> SessionScope:
        """One prompt to its end."""
        session = session or await self.platform.session()
        async with self.host("host"):
            await self.desk.say(session, "do it", operator="ada")
            self.platform.wake()
            await self.platform.saw(session, EventType.DONE)
        return session

    async def jobs(self, chosen: JobFilter | None = None) -> list[JobRecord]:
        found, _ = await self.desk.jobs.page(self.desk.scope, chosen or JobFilter(), None, 10)
        return found

    async def status(self, session: SessionScope) -> RunStatus:
        return (await self.platform.runs(session))[0].status


class Executor:
    """The native tools of this process; the other calls are the world's."""

    def __init__(self, stage: Stage) -> None:
        self._world = stage.platform.world
        self._native = NativeExecutor(SystemClock(), stage.port)

    async def execute(self, call: ToolCall) -> Any:
        native = call.tool.name == "schedule_execution"
        return await (self._native if native else self._world).execute(call)


@pytest.fixture
async def stage(pool: Pool, desk: Desk, keys: Path) -> Stage:
    world = World(ONE_CALL)
    world.tool("get", lambda call: {"name": "Ada"})
    world.tool("schedule_execution", lambda call: None, Idempotency.KEYED)
    platform = await open_platform(pool, keys, world)
    platform.quick = True  # the host of the test before this one has the shards of their common database
    return Stage(platform, desk)


LATER = {"prompt": Lit(value="and then tell me"), "delaySeconds": Lit(value=3_600)}


async def test_a_plan_schedules_a_prompt_and_is_told_the_job_and_its_time(stage: Stage) -> None:
    stage.schedules(**LATER)
    before = datetime.now(UTC)
    session = await stage.run()
    [job] = await stage.jobs()
    assert (job.payload.prompt, job.status) == ("and then tell me", JobStatus.SCHEDULED)
    assert (job.payload.created_by, job.payload.operator) == (f"session:{session.session_id}", "ada")
    assert timedelta(minutes=59) < job.run_at - before < timedelta(minutes=61)
    reply_ = (await stage.platform.history(session))[-1].payload["reply"]
    assert reply_ == f'{{"jobId":"{job.id}","runAt":"{job.run_at.isoformat()}"}}'


async def test_the_new_session_is_the_old_ones_but_for_its_approval(stage: Stage) -> None:
    desk = stage.desk
    parent = await desk.session()
    async with transaction(desk.pool) as connection:
        await connection.execute("DELETE FROM sessions WHERE id = $1", parent.session_id)
        settings = SessionSettings(auto_approve_plan=True, planner_model="a-model")
        draft = SessionDraft({}, {}, ("eu", "gold"), "alice", settings)
        await desk.sessions.insert(connection, desk.scope, parent.session_id, draft)
    await desk.secrets.put(parent, {"TOKEN": "its-value", "OTHER": "not asked for"})
    stage.schedules(**LATER, secretNames=ListOf(items=(Lit(value="TOKEN"),)))
    await stage.run(parent)
    [job] = await stage.jobs()
    assert (job.secret_names, job.payload.secrets) == (("TOKEN",), {"TOKEN": "its-value"})
    await desk.send_all(job.run_at)
    [opened] = await desk.opened(job.id)
    assert (opened.tags, opened.has_external_user) == (("eu", "gold"), True)
    assert opened.settings == SessionSettings(planner_model="a-model")
    assert await desk.secrets.names_at(desk.at(opened.id)) != []
    assert await desk.sessions.external_user_hmac(desk.at(opened.id)) == await desk.sessions.external_user_hmac(parent)


async def test_a_plan_resumes_its_own_session_and_the_prompt_runs_there(stage: Stage) -> None:
    stage.schedules(**LATER, target=Lit(value="resume_session"))
    session = await stage.run()
    [job] = await stage.jobs()
    assert job.session_id == session.session_id
    await stage.desk.send_all(job.run_at)
    stage.platform.world.plan = ONE_CALL
    async with stage.host("later"):
        await stage.platform.saw(session, EventType.DONE, times=2)
    assert await stage.desk.prompts(session) == ["do it", "and then tell me"]


async def test_what_a_plan_sends_into_its_session_is_not_approved_by_the_session(stage: Stage) -> None:
    """The prompt may hold what a tool answered: `autoApprovePlan` was said for what people send."""
    session = await stage.desk.session(auto_approve_plan=True)
    await stage.desk.pool.execute("""UPDATE projects SET settings = settings || '{"plan_approval_mode": "require"}'""")
    stage.schedules(**LATER, target=Lit(value="resume_session"))
    await stage.run(session)
    [job] = await stage.jobs()
    await stage.desk.send_all(job.run_at)
    stage.platform.world.plan = ONE_CALL
    async with stage.host("later"):
        await stage.platform.saw(session, EventType.CONFIRM_PLAN_REQUIRED)
    assert stage.platform.world.calls == []


@pytest.mark.parametrize("around", ["before", "after"])
async def test_a_host_that_is_killed_around_the_insert_leaves_exactly_one_job(stage: Stage, around: str) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        reached.set()
        await never.wait()

    stage.schedules(**LATER)
    session = await stage.platform.session()
    setattr(stage.port, around, hang)
    async with stage.host("killed"):
        await stage.platform.says(session)
        await asyncio.wait_for(reached.wait(), 15)
        assert len(await stage.jobs()) == (1 if around == "after" else 0)
    setattr(stage.port, around, None)
    async with stage.host("next"):
        await stage.platform.saw(session, EventType.DONE)
    [job] = await stage.jobs()
    assert await stage.status(session) is RunStatus.COMPLETED
    assert str(job.id) in str((await stage.platform.history(session))[-1].payload["reply"])
    first, second = stage.port.orders
    assert first == second


async def test_a_database_that_does_not_answer_is_asked_again_and_makes_one_job(stage: Stage) -> None:
    async def lost() -> None:
        if len(stage.port.orders) == 1:
            raise Unavailable("the connection was lost after the commit")

    stage.schedules(**LATER)
    stage.port.after = lost
    session = await stage.run()
    assert await stage.status(session) is RunStatus.COMPLETED
    assert (len(await stage.jobs()), len(stage.port.orders)) == (1, 2)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"delaySeconds": Lit(value=31 * 86_400)}, "delaySeconds may lie at most 30 days ahead"),
        ({"runAt": Lit(value="2020-01-01T00:00:00Z")}, "runAt lies in the past"),
        ({"runAt": Lit(value="tomorrow")}, "runAt is a date and time"),
        ({"runAt": Lit(value="2027-01-01T00:00:00")}, "runAt is a date and time with its offset"),
        ({}, "exactly one of"),
        ({"delaySeconds": Lit(value=1), "target": Lit(value="elsewhere")}, "target is new_session_prompt or"),
        ({"delaySeconds": Lit(value=1), "secretNames": ListOf(items=(Lit(value="NOBODYS"),))}, "NOBODYS"),
        (
            {
                "delaySeconds": Lit(value=1),
                "target": Lit(value="resume_session"),
                "secretNames": ListOf(items=(Lit(value="OWN"),)),
            },
            "has its secrets already",
        ),
    ],
)
async def test_what_cannot_be_scheduled_fails_the_step_and_says_why(
    stage: Stage, args: dict[str, Expr], says: str
) -> None:
    session = await stage.platform.session()
    await stage.desk.secrets.put(session, {"OWN": "value"})
    stage.schedules(prompt=Lit(value="x"), **args)
    await stage.run(session)
    history = await stage.platform.history(session)
    [error] = [event.payload for event in history if event.type is EventType.ERROR]
    assert says in str(error["msg"])
    assert await stage.jobs() == []


async def test_a_job_is_as_far_as_the_run_that_it_opened(stage: Stage) -> None:
    """completed and failed are the run's; the list is filtered by what people see."""
    desk = stage.desk
    good = await desk.book(prompt="good")
    assert (await desk.job(good)).status is JobStatus.SCHEDULED
    await desk.send_all()
    assert (await desk.job(good)).status is JobStatus.DISPATCHED
    async with stage.host("host"):
        await eventually(lambda: _has(desk, good, JobStatus.COMPLETED), what="the end of the run")
        stage.schedules(prompt=Lit(value="and no time"))
        bad = await desk.book(prompt="bad")
        await desk.send_all()
        await eventually(lambda: _has(desk, bad, JobStatus.FAILED), what="the failure of the run")
    [run] = await stage.platform.runs(desk.at((await desk.opened(good))[0].id))
    last = (await desk.job(good)).last
    assert last is not None
    assert (last.run_id, last.run_status) == (run.id, RunStatus.COMPLETED)
    for status, expected in ((JobStatus.COMPLETED, [good]), (JobStatus.FAILED, [bad]), (JobStatus.DISPATCHED, [])):
        assert [job.id for job in await stage.jobs(JobFilter(status=status))] == expected


async def _has(desk: Desk, job_id: Any, status: JobStatus) -> bool:
    return (await desk.job(job_id)).status is status


async def test_a_project_that_has_its_fill_of_jobs_refuses_a_plan_s_too(stage: Stage) -> None:
    await stage.desk.pool.execute(
        "UPDATE projects SET settings = settings || '{\"max_scheduled_jobs\": 0}' WHERE id = $1",
        stage.desk.scope.project_id,
    )
    stage.schedules(prompt=Lit(value="later"), delaySeconds=Lit(value=60))
    session = await stage.run()
    [run] = await stage.platform.runs(session)
    assert run.status is RunStatus.FAILED
    assert "maxScheduledJobs" in str([event.payload for event in await stage.platform.history(session)])
    assert await stage.jobs() == []
