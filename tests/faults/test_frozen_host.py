"""A host that stands still while its shards move on, and then wakes; a host that does not know that it was given up."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest

from planvault.storage.pool import transaction
from tests.faults.bench import SHARDS, Bench
from tests.faults.boundaries import EVERYWHERE, ON_FILES, Action, Boundary, Phase
from tests.faults.expectation import Undisturbed, expected, observed, undisturbed
from tests.faults.judging import faults_of_keys, faults_of_outcome, faults_of_record
from tests.faults.processes import Host
from tests.integration.runtime.harness import eventually

SCENARIO = "failing"
Deafen = Callable[[Host], Awaitable[None]]


def mail_boundaries(story: Undisturbed) -> dict[Phase, Boundary]:
    """Around the call that must not be repeated, in every phase."""
    [mail] = [attempt for attempt in story.attempts if attempt.tool == "send_mail"]
    return {
        Phase.BEFORE_APPEND: Boundary(mail.recorded_in, Phase.BEFORE_APPEND),
        **{phase: Boundary(mail.intended_in, phase) for phase in EVERYWHERE[1:]},
        **{phase: Boundary(mail.recorded_in, phase) for phase in ON_FILES},
    }


@pytest.mark.parametrize(
    "phase",
    [EVERYWHERE[0], *(pytest.param(phase, marks=pytest.mark.faults) for phase in EVERYWHERE[1:])],
)
async def test_a_frozen_host_that_wakes_appends_nothing_and_sends_nothing(bench: Bench, phase: Phase) -> None:
    await frozen_and_woken(bench, phase)


async def frozen_and_woken(bench: Bench, phase: Phase) -> None:
    """Its lease runs out in real time: its own clock is what has to stop it."""
    whole = await bench.play(SCENARIO)
    story = undisturbed(whole.trace)
    boundary = mail_boundaries(story)[phase]
    act = await bench.begin(SCENARIO, boundary, Action.PAUSE)
    await act.reaches()
    frozen = act.host
    os.kill(frozen.pid, signal.SIGSTOP)
    heir = await bench.spawn()
    await eventually(lambda: owns(bench, heir, SHARDS), what="the takeover")
    played = await act.end()
    record = await bench.stretches(act.scope)
    os.kill(frozen.pid, signal.SIGCONT)
    frozen.say(op="go")
    await eventually(lambda: owns(bench, frozen, SHARDS // 2), what="the woken host's new share")
    assert await bench.stretches(act.scope) == record, "the woken host wrote"
    due, (requests, effects) = expected(story, boundary), observed(await bench.service.ask("verdict", act.case))
    assert (requests, effects) == (due.requests, due.effects)
    assert ("recovery" in played.questions) == due.asks_operator
    assert faults_of_outcome(whole, played) + faults_of_keys(played) + await faults_of_record(bench, played) == []


async def test_a_woken_host_sends_nothing_while_it_cannot_ask_whose_its_shards_are(bench: Bench) -> None:
    """Its heartbeat waits for a lock: nothing but its own clock says that the intent it holds is another's business."""
    whole = await bench.play(SCENARIO)
    story = undisturbed(whole.trace)
    boundary = mail_boundaries(story)[Phase.AFTER_APPEND]
    act = await bench.begin(SCENARIO, boundary, Action.PAUSE)
    await act.reaches()
    frozen = act.host
    os.kill(frozen.pid, signal.SIGSTOP)
    heir = await bench.spawn()
    await eventually(lambda: owns(bench, heir, SHARDS), what="the takeover")
    await act.end()
    async with transaction(bench.pool) as connection:
        await connection.execute("LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE")
        os.kill(frozen.pid, signal.SIGCONT)
        frozen.say(op="go")
        await eventually(lambda: stands_before_call(frozen, boundary), what="the effect's turn")
        for _ in range(50):  # turns of its event loop in which the request could go out
            frozen.say(op="stats")
            await frozen.told("stats")
    await eventually(lambda: owns(bench, frozen, SHARDS // 2), what="the woken host's new share")
    requests, _ = observed(await bench.service.ask("verdict", act.case))
    assert requests == expected(story, boundary).requests


def stands_before_call(host: Host, boundary: Boundary) -> bool:
    return any("effect" in news and news["append"] == boundary.append for news in host.news)


async def owns(bench: Bench, host: Host, shards: int) -> bool:
    count = "SELECT count(*) FROM shard_owner WHERE owner LIKE $1"
    return bool(await bench.pool.fetchval(count, f"{host.name}-%") == shards)


@pytest.fixture
async def deaf(bench: Bench) -> AsyncIterator[Deafen]:
    """Makes the database forget a live host's heartbeats: it believes in its lease, and nobody else does."""
    await bench.pool.execute(
        """
        CREATE TABLE deaf_to (name text);
        GRANT SELECT ON deaf_to TO planvault_platform;
        CREATE FUNCTION forget_heartbeat() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM deaf_to WHERE NEW.id LIKE name || '-%') THEN
                NEW.heartbeat_at := NEW.heartbeat_at - interval '1 day';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER forget_heartbeat BEFORE INSERT OR UPDATE ON hosts
        FOR EACH ROW EXECUTE FUNCTION forget_heartbeat();
        """
    )

    async def deafen(host: Host) -> None:
        await bench.pool.execute("INSERT INTO deaf_to VALUES ($1)", host.name)
        await bench.silence(host)

    yield deafen
    await bench.pool.execute(
        "DROP TRIGGER forget_heartbeat ON hosts; DROP FUNCTION forget_heartbeat(); DROP TABLE deaf_to"
    )


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.faults)])
async def test_two_live_owners_of_one_shard_never_both_commit(bench: Bench, deaf: Deafen, every: int) -> None:
    """A zombie that beats, holds its lease by its own clock and has the session in memory, beside its heir."""
    whole = await bench.play(SCENARIO)
    story = undisturbed(whole.trace)
    for append in range(2, story.appends + 1, every):
        await bench.dismiss()
        zombie = await bench.spawn()
        boundary = Boundary(append, Phase.BEFORE_APPEND)
        act = await bench.begin(SCENARIO, boundary, Action.PAUSE, zombie)
        await act.reaches()
        await deaf(zombie)
        heir = await bench.spawn()
        await eventually(partial(owns, bench, heir, SHARDS), what="the heir's shards")
        zombie.say(op="go")
        assert await zombie.told("refused") > 0
        played = await act.end()
        due = expected(story, boundary)
        assert observed(played.verdict) == (due.requests, due.effects)
        faults = faults_of_outcome(whole, played) + faults_of_keys(played) + await faults_of_record(bench, played)
        assert faults == []
