"""Whose scenarios a selection sees."""

from dataclasses import replace

import pytest

from models.tenants import OrgScope
from planvault.storage.pool import Pool, transaction
from planvault.storage.scenario_index import Wanted, near_scenarios
from planvault.storage.scenarios import ScenarioDraft, Scenarios
from planvault.storage.tenants import Tenants
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.scenarios.boosts import NO_BOOSTS
from tests.integration.retrieval.scenarios.conftest import IDS, SETTINGS, World, make_world, query_of, vector_of

pytestmark = pytest.mark.postgres
PROMPT = "show me the orders of today please"
DRAFT = ScenarioDraft(
    name="Orders",
    project_id=None,
    priority=50,
    enabled=True,
    tools=("list_orders",),
    samples=(PROMPT,),
    instruction="For {{customer}}.",
    vectors=(vector_of(PROMPT),),
    embedding_model=EMBEDDING_MODEL,
)


async def write(world: World, draft: ScenarioDraft = DRAFT) -> None:
    async with transaction(world.pool) as connection:
        scenarios = Scenarios(world.pool, world.keyring, IDS)
        await scenarios.create(connection, world.org, draft, "ada", world.clock.now())


async def test_no_row_of_another_organisation_is_read(world: World, pool: Pool) -> None:
    other = await make_world(pool)
    await write(world)
    await world.run(PROMPT, "list_orders")
    await world.learn()
    vectors, wanted = query_of(PROMPT).vectors, Wanted(model=EMBEDDING_MODEL, least=0.5)
    assert len(await near_scenarios(pool, world.scope, vectors, wanted)) == 2
    assert await near_scenarios(pool, other.scope, vectors, wanted) == []


async def test_a_projects_scenario_is_for_its_own_prompts(world: World) -> None:
    project = await Tenants(world.pool, IDS).create_project(OrgScope(org_id=world.scope.org_id), "another")
    await write(world, replace(DRAFT, project_id=project.id))
    assert await world.contribution(PROMPT, "list_orders") == 0
    world.scope = world.scope.model_copy(update={"project_id": project.id})
    assert await world.contribution(PROMPT, "list_orders") > 0


async def test_a_clause_of_a_prompt_is_enough(world: World) -> None:
    await write(world)
    found = await world.boosts("cancel everything and then " + PROMPT + " and mail it to all of my friends", PROMPT)
    assert found.bring_in == (world.tools["list_orders"],)
    assert found.instruction == "For {{customer}}."


async def test_what_is_disabled_switched_off_or_of_another_model_does_not_count(world: World) -> None:
    await write(world, replace(DRAFT, enabled=False))
    await write(world, replace(DRAFT, embedding_model="another-model"))
    assert (await world.boosts(PROMPT)).matched == ()
    await write(world)
    assert len((await world.boosts(PROMPT)).matched) == 1
    off = SETTINGS.model_copy(update={"scenarios": False, "routing_cache": False, "usage_boost_cap": 0.0})
    assert await world.boosts(PROMPT, settings=off) == NO_BOOSTS
