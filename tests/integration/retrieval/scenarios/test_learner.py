"""Runs and votes are learned from, once each, and what was learned moves tools."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from models.ids import RunId, ToolId
from models.policies import OrgSettings
from models.retrieval import RetrievalOverrides
from models.runs import RunStatus
from models.tenants import OrgScope
from planvault.errors import Unavailable
from planvault.storage import lessons
from planvault.storage.feedback import Vote
from planvault.storage.history import History
from planvault.storage.keys import PostgresKeyring
from planvault.storage.lessons import TaughtScenario
from planvault.storage.pool import Connection, Pool, transaction
from planvault.storage.retention import Retention, rules
from planvault.storage.routing_cache import RoutingCache
from planvault.storage.tenants import Tenants
from retrieval.scenarios.learner import BATCH, ScenarioLearner
from tests.integration.retrieval.scenarios.conftest import IDS, SETTINGS, WRAPPER, World, make_world

pytestmark = pytest.mark.postgres
PROMPT = "show me the orders of today please"


async def test_a_repeated_intent_moves_its_tools_up_after_success_and_down_after_rejection(world: World) -> None:
    assert await world.contribution(PROMPT, "list_orders") == 0
    await world.run(PROMPT, "list_orders")
    await world.learn()
    after_one = await world.contribution(PROMPT, "list_orders")
    await world.run(PROMPT, "list_orders")
    await world.learn()
    after_two = await world.contribution(PROMPT, "list_orders")
    await world.run(PROMPT, "list_orders", rejected=True)
    await world.learn()
    rejected = await world.contribution(PROMPT, "list_orders")
    assert 0 < after_one < after_two
    assert 0 < rejected < after_one
    assert await world.contribution(PROMPT, "get_order") == 0
    assert await world.contribution("something entirely different", "list_orders") == 0


async def test_runs_of_one_intent_with_the_same_tools_support_one_scenario(world: World) -> None:
    for _ in range(3):
        await world.run(PROMPT, "list_orders", "get_order")
    await world.run(PROMPT, "list_orders", "send_mail")
    await world.learn()
    counts = await world.scenarios()
    assert [round(successes) for successes, _ in counts] == [3, 1]


async def test_a_run_is_learned_from_once_however_many_learn(world: World) -> None:
    for _ in range(6):
        await world.run(PROMPT, "list_orders")
    await asyncio.gather(*(world.learner.learn() for _ in range(4)))
    [(successes, failures)] = await world.scenarios()
    assert (round(successes, 2), failures) == (6.0, 0.0)
    assert not await lessons.ended_runs(world.pool, 10)


async def test_a_crash_before_the_commit_loses_nothing_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.run(PROMPT, "list_orders")
    link = lessons.link

    async def dies(*args: object) -> None:
        raise OSError("the process is gone")

    monkeypatch.setattr(lessons, "link", dies)
    with pytest.raises(OSError, match="gone"):
        await world.learn()
    assert await world.scenarios() == []
    monkeypatch.setattr(lessons, "link", link)
    await world.learn()
    assert [round(successes) for successes, _ in await world.scenarios()] == [1]


async def test_while_nobody_embeds_runs_wait_for_their_lesson(world: World) -> None:
    await world.run(PROMPT, "list_orders")
    world.embedder.away = True
    with pytest.raises(Unavailable):
        await world.learn()
    world.embedder.away = False
    await world.learn()
    assert await world.contribution(PROMPT, "list_orders") > 0


async def test_a_run_that_cannot_be_read_does_not_keep_the_others_waiting(world: World) -> None:
    broken = await world.run(PROMPT, "list_orders")
    await world.pool.execute("UPDATE events SET payload = 'x' WHERE run_id = $1", broken)
    await world.run(PROMPT, "get_order")
    await world.learn()
    assert await world.contribution(PROMPT, "get_order") > 0
    assert await world.contribution(PROMPT, "list_orders") == 0


async def test_a_service_that_refuses_the_call_lowers_and_one_that_is_away_does_not(world: World) -> None:
    await world.run(PROMPT, "list_orders")
    await world.learn()
    before = await world.contribution(PROMPT, "list_orders")
    await world.run(PROMPT, "list_orders", fails_with="HTTP_503")
    await world.run(PROMPT, "list_orders", status=RunStatus.INTERRUPTED)
    await world.learn()
    assert await world.contribution(PROMPT, "list_orders") == pytest.approx(before, rel=1e-3)
    await world.run(PROMPT, "list_orders", fails_with="HTTP_404")
    await world.learn()
    assert await world.contribution(PROMPT, "list_orders") < before


async def test_a_like_raises_a_dislike_lowers_and_a_second_vote_replaces_the_first(world: World) -> None:
    run = await world.run(PROMPT, "list_orders")
    await world.vote(run, Vote.LIKE)
    await world.learn()
    [(liked, _)] = await world.scenarios()
    assert liked == pytest.approx(2.0, rel=1e-3)
    await world.vote(run, Vote.DISLIKE)
    await world.vote(run, Vote.DISLIKE)
    await world.learn()
    [(successes, failures)] = await world.scenarios()
    assert [successes, failures] == pytest.approx([1.0, 2.0], rel=1e-3)
    await world.vote(run, Vote.LIKE, voter="bob")
    await world.learn()
    [(successes, failures)] = await world.scenarios()
    assert [successes, failures] == pytest.approx([2.0, 2.0], rel=1e-3)


async def test_what_was_learned_fades_with_the_clock(world: World) -> None:
    await world.run(PROMPT, "list_orders")
    await world.learn()
    now = await world.contribution(PROMPT, "list_orders")
    used = (await world.boosts(PROMPT)).usage[world.tools["list_orders"]]
    world.clock.ahead = timedelta(days=SETTINGS.decay_half_life_days)
    later = await world.contribution(PROMPT, "list_orders")
    assert used > (await world.boosts(PROMPT)).usage[world.tools["list_orders"]] > 0
    world.clock.ahead *= 8
    assert now > later > await world.contribution(PROMPT, "list_orders") > 0


async def test_nothing_of_a_prompt_is_kept_but_its_vector_with_where_it_came_from(world: World) -> None:
    run = await world.run(PROMPT, "list_orders", user="ada")
    await world.learn()
    [row] = await world.pool.fetch("SELECT * FROM scenarios WHERE org_id = $1", world.scope.org_id)
    [sample] = await world.pool.fetch("SELECT * FROM scenario_samples WHERE scenario_id = $1", row["id"])
    assert (row["name"], row["samples"], row["instruction"]) == ("", None, None)
    assert sample["run_id"] == run
    assert sample["subject"] == await world.keyring.pseudonym(world.scope.org_id, "ada")


async def test_erasing_the_only_person_behind_a_scenario_erases_it_and_the_second_persons_stays(world: World) -> None:
    await world.run(PROMPT, "list_orders", user="ada")
    await world.run(PROMPT, "list_orders", user="bob")
    await world.run("mail the invoice to me", "send_mail", user="ada")
    await world.learn()
    ada = await world.keyring.pseudonym(world.scope.org_id, "ada")
    await world.pool.execute("DELETE FROM scenario_samples WHERE org_id = $1 AND subject = $2", world.scope.org_id, ada)
    assert await world.contribution(PROMPT, "list_orders") > 0
    assert len(await world.scenarios()) == 1


async def test_with_its_session_a_prompts_vector_goes(world: World) -> None:
    session = await world.session()
    await world.run(PROMPT, "list_orders", session=session)
    await world.learn()
    await world.pool.execute("DELETE FROM sessions WHERE id = $1", session)
    assert await world.scenarios() == []


async def decide(world: World, **decided: object) -> None:
    def change(settings: OrgSettings) -> OrgSettings:
        return settings.model_copy(update={"retrieval": RetrievalOverrides.model_validate(decided)})

    await Tenants(world.pool, IDS).change_organization(world.org, change)


async def test_a_cache_that_is_off_learns_no_prompt_and_use_is_counted_all_the_same(world: World) -> None:
    await decide(world, routing_cache=False)
    await world.run(PROMPT, "list_orders")
    await world.learn()
    assert await world.scenarios() == []
    assert (await world.boosts(PROMPT)).usage[world.tools["list_orders"]] > 0


async def test_a_cache_that_is_switched_off_and_cleared_while_a_run_is_read_stays_empty(world: World) -> None:
    async def switch_off() -> None:
        await decide(world, routing_cache=False)
        async with transaction(world.pool) as connection:
            await RoutingCache(world.pool).clear(connection, world.org)

    await world.run(PROMPT, "list_orders")
    world.embedder.meanwhile = switch_off
    await world.learn()
    assert await world.scenarios() == []
    assert not await lessons.ended_runs(world.pool, 10)


async def test_an_entry_waits_until_enough_people_share_it(world: World) -> None:
    two = SETTINGS.model_copy(update={"routing_cache_min_users": 2})
    await world.run(PROMPT, "list_orders", user="ada")
    await world.run(PROMPT, "list_orders", user="ada")
    await world.learn()
    assert await world.contribution(PROMPT, "list_orders", two) == 0
    await world.run(PROMPT, "list_orders", user="bob")
    await world.learn()
    assert await world.contribution(PROMPT, "list_orders", two) > 0


async def test_another_organisation_learns_nothing_of_it(world: World, pool: Pool) -> None:
    other = await make_world(pool)
    await world.run(PROMPT, "list_orders")
    await world.learn()
    found = await other.boosts(PROMPT)
    assert (found.scenario, found.usage, found.matched) == ({}, {}, ())


async def test_a_long_session_is_read_back_to_its_prompts(world: World) -> None:
    session = await world.session()
    for _ in range(3):
        await world.run(PROMPT, "list_orders", session=session)
        await world.run("a question without any tools", session=session)
    await world.learn()
    assert [round(successes) for successes, _ in await world.scenarios()] == [3]


async def test_an_entry_that_nothing_was_counted_of_for_a_year_goes(world: World) -> None:
    await world.run(PROMPT, "list_orders")
    await world.run("mail the invoice to me", "send_mail")
    await world.learn()
    await world.pool.execute(
        "UPDATE scenarios SET counted_at = now() - interval '366 days' WHERE $1 = ANY(tool_ids)",
        world.tools["list_orders"],
    )
    gone = await Retention(world.pool, rules(timedelta(hours=1)), world.clock).sweep()
    assert gone["routing_cache"] == 1
    assert len(await world.scenarios()) == 1


async def test_deletions_beside_the_learner_lose_no_lesson_of_the_others(world: World) -> None:
    for _ in range(8):
        await world.run(PROMPT, "list_orders")
        await world.run("mail the invoice to me", "send_mail")
    cache = RoutingCache(world.pool)

    async def clear() -> None:
        for _ in range(6):
            async with transaction(world.pool) as connection:
                await cache.clear(connection, world.org)

    await asyncio.gather(world.learner.learn(), clear())
    assert not await lessons.ended_runs(world.pool, 10)
    used = (await world.boosts(PROMPT)).usage
    assert used[world.tools["list_orders"]] == pytest.approx(used[world.tools["send_mail"]], rel=1e-3)


async def test_use_of_long_ago_fades_to_nothing_however_short_the_half_life(world: World) -> None:
    await decide(world, decay_half_life_days=0.05)
    short = SETTINGS.model_copy(update={"decay_half_life_days": 0.05})
    world.clock.ahead = timedelta(days=-100)
    await world.run(PROMPT, "list_orders")
    await world.learn()
    world.clock.ahead = timedelta()
    faded = await world.boosts(PROMPT, settings=short)
    assert faded.usage.get(world.tools["list_orders"], 0.0) == pytest.approx(0.0, abs=1e-6)
    await world.run(PROMPT, "list_orders")
    await world.learn()
    again = await world.pool.fetchval("SELECT uses FROM tool_usage WHERE org_id = $1", world.scope.org_id)
    assert again == pytest.approx(1.0)


async def test_an_organisation_whose_keys_are_missing_does_not_keep_the_others_waiting(
    world: World, pool: Pool
) -> None:
    other = await make_world(pool)
    for _ in range(BATCH + 1):
        await other.run(PROMPT, "list_orders")
    await other.vote(await other.run(PROMPT, "list_orders"), Vote.LIKE)
    await world.run(PROMPT, "list_orders")
    await pool.execute("UPDATE data_keys SET status = 'retired' WHERE org_id = $1", other.scope.org_id)
    fresh = PostgresKeyring(pool, WRAPPER, IDS)  # holds no keys of before
    learner = ScenarioLearner(pool, History(pool, fresh), world.embedder, IDS)
    while await learner.learn():
        pass
    assert [round(successes) for successes, _ in await world.scenarios()] == [1]
    assert len(await lessons.ended_runs(pool, 100)) == BATCH + 2, "what may be readable later must not be given up"
    await pool.execute("UPDATE data_keys SET status = 'active' WHERE org_id = $1", other.scope.org_id)
    await other.learn()
    assert [round(successes) for successes, _ in await other.scenarios()] == [BATCH + 2 + 1]


async def test_a_prompt_that_the_model_cannot_read_costs_only_its_own_lesson(world: World) -> None:
    await world.run("unreadable", "send_mail")
    await world.run(PROMPT, "list_orders")
    world.embedder.chokes_on = "unreadable"
    await world.learn()
    assert await world.contribution(PROMPT, "list_orders") > 0
    assert len(await world.scenarios()) == 1


async def test_a_vote_that_cannot_be_counted_costs_only_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [await world.run(PROMPT, "list_orders") for _ in range(2)]
    await world.learn()
    for run in runs:
        await world.vote(run, Vote.LIKE)
    of_run = lessons.of_run

    async def chokes(connection: Connection, scope: OrgScope, run_id: RunId) -> list[TaughtScenario]:
        if run_id == runs[0]:
            raise ValueError("unreadable")
        return await of_run(connection, scope, run_id)

    monkeypatch.setattr(lessons, "of_run", chokes)
    await world.learn()
    [(successes, _)] = await world.scenarios()
    assert round(successes) == 3
    assert not await lessons.open_votes(world.pool, 10)


async def waits_for_a_lock(pool: Pool, statement: str) -> None:
    """Until a statement like this one does."""
    async with asyncio.timeout(10):
        while not await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1", statement
        ):
            await asyncio.sleep(0.01)


async def test_a_session_that_is_deleted_while_its_run_is_learned_from_waits_and_takes_the_lesson_along(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.session()
    await world.run(PROMPT, "list_orders", session=session)
    tool_ids, deletions = lessons.tool_ids, []

    async def slow(connection: Connection, *rest: Any) -> Mapping[str, ToolId]:
        deletion = world.pool.execute("DELETE FROM sessions WHERE id = $1", session)
        deletions.append(asyncio.create_task(deletion))
        await waits_for_a_lock(world.pool, "DELETE FROM sessions%")
        return await tool_ids(connection, *rest)

    monkeypatch.setattr(lessons, "tool_ids", slow)
    await world.learn()
    await asyncio.gather(*deletions)
    assert await world.scenarios() == []


async def test_two_people_erased_at_once_leave_no_scenario_without_its_vectors(world: World) -> None:
    for user in ("ada", "bob"):
        await world.run(PROMPT, "list_orders", user=user)
    await world.learn()
    erase = "DELETE FROM scenario_samples WHERE org_id = $1 AND subject = $2"
    ada, bob = [await world.keyring.pseudonym(world.scope.org_id, user) for user in ("ada", "bob")]
    async with world.pool.acquire() as one:
        async with one.transaction():
            await one.execute(erase, world.scope.org_id, ada)
            second = asyncio.create_task(world.pool.execute(erase, world.scope.org_id, bob))
            await asyncio.wait({second}, timeout=0.3)
        await second
    assert await world.scenarios() == []
