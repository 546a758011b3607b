"""What a scheduler does with jobs that are due, and with those that it cannot send."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.commands import CommandKind
from models.policies import SessionSettings
from models.schedules import Frequency, Recurrence, Weekday
from models.tenants import SessionScope
from planvault.clock import SystemClock
from planvault.errors import Conflict
from planvault.scheduling.dispatch import MAX_ATTEMPTS, wait_before
from planvault.storage.commands import Commands
from planvault.storage.pool import is_away, open_pool, transaction
from planvault.storage.retention import Retention, rules
from tests.integration.scheduling.conftest import Desk, utc

DAILY = Recurrence(frequency=Frequency.DAILY, timezone="Europe/Berlin", hour=9)
HOURLY = Recurrence(frequency=Frequency.HOURLY, timezone="UTC", minute=30)


async def test_a_due_job_opens_a_session_as_it_was_told_and_sends_its_prompt(desk: Desk) -> None:
    job_id = await desk.book(
        prompt="send the report",
        context_vars={"customer": 7},
        metadata={"ticket": "T-1"},
        tags=("a", "b"),
        secrets={"TOKEN": "its-value"},
        settings=SessionSettings(auto_approve_plan=True),
        external_user_hmac=b"h" * 32,
        created_by="key:report",
        operator="ada",
        proven=True,
    )
    assert await desk.send_all() == 1
    [session] = await desk.opened(job_id)
    assert (session.context_vars, session.metadata, session.tags) == ({"customer": 7}, {"ticket": "T-1"}, ("a", "b"))
    assert session.settings.auto_approve_plan
    assert session.has_external_user
    scope = desk.at(session.id)
    [message] = await desk.sent(scope)
    assert (message.text, message.actor, message.operator) == ("send the report", "key:report", "ada")
    assert message.proven
    assert await desk.secrets.value(scope, "TOKEN") == "its-value"
    job = await desk.job(job_id)
    assert (job.status, job.payload.secrets, job.secret_names) == ("dispatched", {}, ("TOKEN",))
    assert job.last is not None
    assert (job.last.due_at, job.last.run_id) == (job.run_at, None)


async def test_a_job_is_not_sent_before_its_time_and_not_twice_after_it(desk: Desk) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    job_id = await desk.book(at=at)
    assert await desk.send_all(at - timedelta(microseconds=1)) == 0
    assert await desk.send_all(at) == 1
    assert await desk.send_all(at + timedelta(days=1)) == 0
    assert (await desk.job(job_id)).status == "dispatched"
    assert await desk.messages() == 1


async def test_jobs_that_resume_a_session_send_their_prompts_into_it_in_order_of_their_times(desk: Desk) -> None:
    session = await desk.session()
    now = datetime.now(UTC)
    for minute, prompt in ((3, "third"), (1, "first"), (2, "second")):
        await desk.book(at=now + timedelta(minutes=minute), resume=session, prompt=prompt)
    assert await desk.send_all(now + timedelta(hours=1)) == 3
    assert await desk.prompts(session) == ["first", "second", "third"]


async def test_a_recurring_job_opens_a_session_each_time_and_stays_scheduled(desk: Desk) -> None:
    job_id = await desk.book(rule=DAILY, secrets={"TOKEN": "its-value"})
    for _ in range(3):
        due = (await desk.job(job_id)).run_at
        assert await desk.send_all(due) == 1
        assert await desk.send_all(due) == 0
    job = await desk.job(job_id)
    sessions = await desk.opened(job_id)
    assert (job.status, len({session.id for session in sessions})) == ("scheduled", 3)
    assert await desk.secrets.value(desk.at(sessions[-1].id), "TOKEN") == "its-value"


async def test_of_missed_occurrences_the_latest_is_made_up_for_once(desk: Desk) -> None:
    job_id = await desk.book(rule=HOURLY)
    first = (await desk.job(job_id)).run_at
    assert await desk.send_all(first + timedelta(days=40, minutes=10)) == 1
    job = await desk.job(job_id)
    assert job.last is not None
    assert job.last.due_at == first + timedelta(days=40)
    assert job.run_at == first + timedelta(days=40, hours=1)
    assert await desk.messages() == 1


async def test_a_clock_that_steps_back_or_forth_repeats_nothing(desk: Desk) -> None:
    job_id = await desk.book(rule=HOURLY)
    first = (await desk.job(job_id)).run_at
    sent = [await desk.send_all(first + timedelta(hours=hours)) for hours in (0, -1, 5, 2, 0, 5, 6)]
    assert sent == [1, 0, 1, 0, 0, 0, 1]
    past = await desk.jobs.occurrences(desk.scope, job_id, None, 10)
    assert [one.due_at - first for one in past] == [timedelta(hours=hours) for hours in (6, 5, 0)]


async def test_a_recurring_job_ends_after_its_last_occurrence(desk: Desk) -> None:
    end = datetime.now(UTC) + timedelta(hours=1, minutes=30)
    job_id = await desk.book(rule=HOURLY.model_copy(update={"end_at": end}))
    assert await desk.send_all(end + timedelta(days=9)) == 1
    job = await desk.job(job_id)
    assert job.status == "dispatched"
    assert job.last is not None
    assert end - timedelta(hours=1) < job.last.due_at <= end


async def test_a_weekly_rule_keeps_its_hour_across_the_change_of_the_clocks(desk: Desk) -> None:
    rule = Recurrence(
        frequency=Frequency.WEEKLY, timezone="America/New_York", hour=2, minute=30, weekdays=(Weekday.SUNDAY,)
    )
    job_id = await desk.book(rule=rule)
    await desk.pool.execute("UPDATE scheduled_jobs SET run_at = $1, wake_at = $1", utc("2027-03-07T07:30:00"))
    seen = []
    for now in ("2027-03-07T08:00:00", "2027-03-14T08:00:00", "2027-03-21T08:00:00"):
        await desk.send_all(utc(now))
        job = await desk.job(job_id)
        assert job.last is not None
        seen.append(job.last.due_at)
    # 14 March: 02:30 is left out, the job runs at 03:30 EDT; afterwards 02:30 EDT is 06:30 UTC.
    assert seen == [utc("2027-03-07T07:30:00"), utc("2027-03-14T07:30:00"), utc("2027-03-21T06:30:00")]


async def test_a_cancelled_job_is_not_sent(desk: Desk) -> None:
    job_id = await desk.book()
    async with transaction(desk.pool) as connection:
        await desk.jobs.cancel(connection, desk.scope, job_id)
    assert await desk.send_all() == 0
    assert (await desk.job(job_id)).status == "cancelled"


async def test_a_cancel_that_meets_a_dispatch_waits_and_is_told_that_it_is_too_late(desk: Desk) -> None:
    job_id = await desk.book()
    inside, leave = asyncio.Event(), asyncio.Event()

    class Slow(Commands):
        async def enqueue(self, *args: Any, **kwargs: Any) -> Any:
            inside.set()
            await leave.wait()
            return await super().enqueue(*args, **kwargs)

    async def cancel() -> None:
        async with transaction(desk.pool) as connection:
            await desk.jobs.cancel(connection, desk.scope, job_id)

    sending = asyncio.create_task(desk.dispatcher(commands=Slow(desk.pool, desk.keyring, desk.ids)).dispatch_due())
    await asyncio.wait_for(inside.wait(), 5)
    cancelling = asyncio.create_task(cancel())
    while not await desk.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0.01)
    leave.set()
    assert await sending == 1
    with pytest.raises(Conflict, match="dispatched already"):
        await cancelling
    assert await desk.messages() == 1


# ── jobs that cannot be sent ─────────────────────────────────────────────────────────────────────────────────────────


async def close(desk: Desk, session: SessionScope) -> None:
    async with transaction(desk.pool) as connection:
        await desk.sessions.close(connection, session)


async def test_a_job_whose_session_was_closed_fails_visibly_and_the_others_are_sent(desk: Desk) -> None:
    session = await desk.session()
    poison = await desk.book(resume=session, secrets={"TOKEN": "its-value"})
    healthy = [await desk.book() for _ in range(3)]
    await close(desk, session)
    assert await desk.send_all() == 4
    job = await desk.job(poison)
    assert job.status == "failed"
    assert job.last_error == "CONFLICT: The session is closed. Open a new one with POST /sessions."
    assert job.payload.secrets == {}
    assert job.last is not None
    assert job.last.error == job.last_error
    assert [(await desk.job(one)).status for one in healthy] == ["dispatched"] * 3


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("payload = '\\x00ff'", "DECRYPTION_FAILED"),
        ("settings = '{\"fromNewerBuild\": 1}'", "INTERNAL"),
        ('rule = \'{"frequency": "yearly"}\'', "INTERNAL"),
    ],
)
async def test_a_row_that_this_build_cannot_read_holds_up_no_other(desk: Desk, damage: str, code: str) -> None:
    poison, healthy = await desk.book(), await desk.book()
    await desk.pool.execute(f"UPDATE scheduled_jobs SET {damage} WHERE id = $1", poison)
    assert await desk.send_all() == 2
    assert (await desk.job(healthy)).status == "dispatched"
    row = await desk.pool.fetchrow("SELECT state, attempts, last_error FROM scheduled_jobs WHERE id = $1", poison)
    assert row["last_error"].startswith(code)
    assert row["state"] == ("failed" if code == "DECRYPTION_FAILED" else "scheduled")
    assert await desk.messages() == 1


async def test_a_session_that_is_held_is_tried_again_later_and_then_reached(desk: Desk, database_url: str) -> None:
    session = await desk.session()
    held, free = await desk.book(resume=session), await desk.book()
    hasty = await open_pool(database_url, name="hasty", maximum=1, lock_timeout_ms=400)
    now = datetime.now(UTC)
    async with transaction(desk.pool) as connection:
        await connection.execute("SELECT FROM sessions WHERE id = $1 FOR UPDATE", session.session_id)
        assert await desk.dispatcher(now, pool=hasty).dispatch_due() == 2
    await hasty.close()
    job = await desk.job(held)
    assert (job.status, job.attempts) == ("scheduled", 1)
    assert job.last_error is not None
    assert "held" in job.last_error
    assert (await desk.job(free)).status == "dispatched"
    assert await desk.send_all(now + timedelta(seconds=wait_before(1) - 0.1)) == 0
    assert await desk.send_all(now + timedelta(seconds=wait_before(1))) == 1
    job = await desk.job(held)
    assert (job.status, job.last_error) == ("dispatched", None)


async def test_a_rule_that_nobody_can_follow_any_more_ends_its_job_and_no_other(desk: Desk) -> None:
    """A zone that newer data had and this build's has not, at the last attempt."""
    poison, healthy = await desk.book(rule=HOURLY), await desk.book()
    at = (await desk.job(poison)).run_at
    rule = {"frequency": "daily", "timezone": "Mars/Olympus", "hour": 1}
    await desk.pool.execute(
        "UPDATE scheduled_jobs SET rule = $2, attempts = $3 WHERE id = $1", poison, rule, MAX_ATTEMPTS - 1
    )
    assert await desk.send_all(at) == 2
    job = await desk.job(poison)
    assert (job.status, (await desk.job(healthy)).status) == ("failed", "dispatched")
    assert job.last_error is not None
    assert "KeyError" in job.last_error


async def test_secrets_that_come_with_a_resumed_session_tell_the_run_that_waits_for_them(desk: Desk) -> None:
    session = await desk.session()
    told: list[SessionScope] = []

    class Listening(Commands):
        async def credentials_changed(self, connection: Any, scope: Any, actor: str) -> list[int]:
            told.append(scope)
            return await super().credentials_changed(connection, scope, actor)

    await desk.book(resume=session, secrets={"TOKEN": "new"})
    await desk.book(resume=session)
    assert await desk.dispatcher(commands=Listening(desk.pool, desk.keyring, desk.ids)).dispatch_due() == 2
    assert told == [session]
    assert await desk.secrets.value(session, "TOKEN") == "new"


class Broken(Commands):
    """A fault of ours, which the next attempt meets again."""

    async def enqueue(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("canary-detail")


@pytest.mark.parametrize("rule", [None, HOURLY])
async def test_after_its_last_attempt_an_occurrence_is_given_up_and_says_why(
    desk: Desk, rule: Recurrence | None
) -> None:
    job_id = await desk.book(rule=rule)
    now = (await desk.job(job_id)).run_at
    broken = Broken(desk.pool, desk.keyring, desk.ids)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert (await desk.job(job_id)).attempts == attempt - 1
        assert await desk.dispatcher(now, commands=broken).dispatch_due() == 1
        assert await desk.dispatcher(now, commands=broken).dispatch_due() == 0
        now += timedelta(seconds=wait_before(attempt))
    job = await desk.job(job_id)
    assert job.last is not None
    assert job.last.error == job.last_error
    assert job.last_error is not None
    assert "RuntimeError" in job.last_error
    assert "canary" not in job.last_error
    assert await desk.messages() == 0
    if rule is None:
        assert job.status == "failed"
        return
    assert (job.status, job.attempts) == ("scheduled", 0)
    assert job.run_at > now - timedelta(hours=1)
    await desk.send_all(job.run_at)
    job = await desk.job(job_id)
    assert (job.last_error, await desk.messages()) == (None, 1)


async def test_the_waits_between_attempts_grow_and_are_bounded() -> None:
    waits = [wait_before(failed) for failed in range(1, MAX_ATTEMPTS)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5.0, 600.0)
    assert sum(waits) < 3_600


async def test_the_next_wake_is_known_in_advance(desk: Desk) -> None:
    now = datetime.now(UTC)
    assert await desk.dispatcher(now).idle_s(1.0) == 1.0
    await desk.book(at=now + timedelta(seconds=30))
    assert await desk.dispatcher(now).idle_s(1.0) == 1.0
    assert await desk.dispatcher(now + timedelta(seconds=29.75)).idle_s(1.0) == pytest.approx(0.25)
    assert await desk.dispatcher(now + timedelta(seconds=99)).idle_s(1.0) == 0.05


# ── several schedulers, and their deaths ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jobs", [60])
async def test_schedulers_that_race_send_each_job_once(desk: Desk, database_url: str, jobs: int) -> None:
    made = [await desk.book(prompt=f"job {number}") for number in range(jobs)]
    pools = [await open_pool(database_url, name=f"racer-{number}", maximum=2) for number in range(3)]

    async def race(pool: Any) -> int:
        dispatcher, taken = desk.dispatcher(pool=pool), 0
        while count := await dispatcher.dispatch_due(4):
            taken += count
        return taken

    taken = await asyncio.gather(*(race(pool) for pool in pools))
    for pool in pools:
        await pool.close()
    assert sum(taken) == jobs
    assert await desk.messages() == jobs
    assert await desk.pool.fetchval("SELECT count(*) FROM sessions") == jobs
    sent = [prompt for job_id in made for session in await desk.opened(job_id)
            for prompt in await desk.prompts(desk.at(session.id))]  # fmt: skip
    assert sent == [f"job {number}" for number in range(jobs)]


class Cut(Commands):
    """The connection ends where the job has done everything but commit."""

    async def enqueue(self, connection: Any, *args: Any, **kwargs: Any) -> Any:
        done = await super().enqueue(connection, *args, **kwargs)
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        await self._pool.execute("SELECT pg_terminate_backend($1)", pid)
        return done


async def test_a_connection_cut_before_the_commit_leaves_nothing_and_another_scheduler_sends(desk: Desk) -> None:
    job_id = await desk.book()
    with pytest.raises(Exception) as cut:
        await desk.dispatcher(commands=Cut(desk.pool, desk.keyring, desk.ids)).dispatch_due()
    assert is_away(cut.value)
    assert (await desk.messages(), await desk.pool.fetchval("SELECT count(*) FROM sessions")) == (0, 0)
    job = await desk.job(job_id)
    assert (job.status, job.attempts, job.last_error) == ("scheduled", 0, None)
    assert await desk.send_all() == 1
    assert await desk.messages() == 1


async def test_a_wake_up_that_is_lost_loses_nothing(desk: Desk) -> None:
    class Deaf(Commands):
        async def wake(self, shard: int) -> None:
            raise RuntimeError("gone before the wake-up")

    job_id = await desk.book()
    with pytest.raises(RuntimeError):
        await desk.dispatcher(commands=Deaf(desk.pool, desk.keyring, desk.ids)).dispatch_due()
    assert (await desk.job(job_id)).status == "dispatched"
    assert await desk.send_all() == 0
    kinds = await desk.pool.fetch("SELECT kind FROM commands WHERE consumed_at IS NULL")
    assert [row["kind"] for row in kinds] == [CommandKind.MESSAGE]


async def test_what_became_of_old_occurrences_goes_but_for_each_job_s_last(desk: Desk) -> None:
    jobs = [await desk.book(prompt=f"job {number}") for number in range(2)]
    await desk.send_all()
    for days in (1, 100, 200, 300):
        await desk.pool.execute(
            "INSERT INTO scheduled_occurrences (job_id, due_at, org_id, project_id, error, at) "
            "SELECT $1, now() - $2::interval, $3, $4, 'gone', now() - $2::interval",
            *(jobs[0], timedelta(days=days), desk.scope.org_id, desk.scope.project_id),
        )
    await desk.pool.execute(
        "UPDATE scheduled_occurrences SET at = now() - interval '1 year' WHERE job_id = $1", jobs[1]
    )
    before = [await desk.job(job) for job in jobs]
    swept = await Retention(desk.pool, rules(timedelta(days=1)), SystemClock()).sweep()
    assert swept["occurrences"] == 3
    assert [len(await desk.jobs.occurrences(desk.scope, job, None, 10)) for job in jobs] == [2, 1]
    assert [await desk.job(job) for job in jobs] == before
