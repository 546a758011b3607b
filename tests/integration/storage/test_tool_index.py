"""Writes of the index: counts stay exact, vectors are kept, revisions miss nothing, tenants stay apart."""

import asyncio
import random

import numpy as np
import pytest

from models.ids import IntegrationId, ToolId
from models.tenants import ProjectScope
from planvault.errors import NotFound
from planvault.storage import tool_index
from planvault.storage.pool import Pool, transaction
from tests.integration.storage import stored_index
from tests.integration.storage.index_room import IDS, MODEL, Room, row, waiting

pytestmark = pytest.mark.postgres


@pytest.fixture
async def room(pool: Pool) -> Room:
    return await Room(pool).open()


async def test_lexemes_are_counted_through_every_kind_of_change(room: Room) -> None:
    one, two = await room.integration(), await room.integration()
    first, second, other = row(one, "cancel order"), row(one, "list order"), row(two, "list user")
    await room.put([first, second, other])
    await room.assert_counts_are_exact()
    await room.put([row(one, "cancel invoice now", first.tool_id, version=2)])
    await room.assert_counts_are_exact()
    await room.retire(one, [second.tool_id])
    await room.retire(one, [second.tool_id])  # again
    await room.assert_counts_are_exact()
    await room.put([row(one, "list order fast", second.tool_id, version=2)])  # revived by an import, changed
    await room.retire(two, [other.tool_id])
    await room.retire(two, [other.tool_id], back=True)
    await room.assert_counts_are_exact()
    assert await stored_index.lexeme_counts(room.pool, room.org, ["list", "cancel", "nothing"]) == {
        "list": 2,
        "cancel": 1,
    }


async def test_a_deleted_integration_takes_its_counts_along_whoever_deletes_it(room: Room) -> None:
    one, two = await room.integration(), await room.integration()
    await room.put([row(one, "cancel order"), row(two, "list order")])
    before = await stored_index.catalog_state(room.pool, room.org)
    await room.pool.execute("DELETE FROM integrations WHERE id = $1", one)
    await room.assert_counts_are_exact()
    after = await stored_index.catalog_state(room.pool, room.org)
    assert (after.tools, after.revision > before.revision) == (1, True)
    left = await room.pool.fetch("SELECT lexeme FROM lexeme_stats WHERE org_id = $1", room.org.org_id)
    assert {one["lexeme"] for one in left} == {"list", "order"}
    await room.pool.execute("DELETE FROM organizations WHERE id = $1", room.org.org_id)
    assert await room.pool.fetchval("SELECT count(*) FROM tool_index WHERE org_id = $1", room.org.org_id) == 0


async def test_counts_are_exact_under_concurrent_imports_and_deletions(room: Room) -> None:
    integrations = [await room.integration() for _ in range(4)]
    doomed = await room.integration()
    words = ["list", "get", "cancel", "order", "user", "invoice", "city"]

    async def churn(integration: IntegrationId, seed: int) -> None:
        chance = random.Random(seed)
        tools = [ToolId(IDS.new()) for _ in range(6)]
        for _ in range(6):
            changed = chance.sample(tools, 4)
            await room.put([row(integration, " ".join(chance.sample(words, 3)), tool) for tool in changed])
            await room.embed(integration, [waiting(row(integration, "list get order", changed[0]))])
            await room.retire(integration, chance.sample(tools, 2), back=chance.random() < 0.5)

    async def delete() -> None:
        await room.put([row(doomed, "cancel user")])
        await room.pool.execute("DELETE FROM integrations WHERE id = $1", doomed)

    await asyncio.gather(*(churn(one, seed) for seed, one in enumerate(integrations)), delete())
    await room.assert_counts_are_exact()


async def test_a_vector_stays_with_its_text_and_serves_until_the_next_is_there(room: Room) -> None:
    one = await room.integration()
    first = row(one, "cancel order")
    await room.put([first])
    await room.embed(one, [waiting(first)], 0.25)
    await room.put([row(one, "cancel order", first.tool_id, version=2)])
    assert await tool_index.count_to_embed(room.pool, room.org, one, MODEL) == 0, "an unchanged text"
    assert await tool_index.count_to_embed(room.pool, room.org, one, "another model") == 1
    changed = row(one, "cancel order now", first.tool_id, version=3)
    await room.put([changed])
    assert await tool_index.count_to_embed(room.pool, room.org, one, MODEL) == 1
    await room.embed(one, [waiting(first)], 0.5)
    assert await room.vector_of(first.tool_id) == 0.25, "a vector that was made of an older text came too late"
    await room.embed(one, [waiting(changed)], 0.75)
    assert await room.vector_of(first.tool_id) == 0.75
    await room.retire(one, [first.tool_id])
    await room.put([row(one, "cancel order now", first.tool_id, version=4)])
    assert await tool_index.count_to_embed(room.pool, room.org, one, MODEL) == 0, "a tool that came back"


async def test_a_copy_that_follows_the_revisions_misses_nothing(room: Room) -> None:
    one = await room.integration()
    scope = ProjectScope(org_id=room.org.org_id, project_id=IDS.new())
    assert await stored_index.catalog_state(room.pool, room.org) == stored_index.CatalogState(0, 0)
    first, second = row(one, "cancel order"), row(one, "list user")
    await room.put([first, second])
    seen = (await stored_index.catalog_state(room.pool, room.org)).revision
    await room.embed(one, [waiting(first)], 0.5)
    await room.retire(one, [second.tool_id])
    states = await stored_index.integration_states(room.pool, scope)
    assert (states[one].tools, states[one].enabled, states[one].revision > seen) == (1, True, True)
    changed = await stored_index.changed_tools(room.pool, room.org, one, since=seen)
    assert {tool.tool_id: tool.active for tool in changed} == {first.tool_id: True, second.tool_id: False}
    [embedded] = [tool for tool in changed if tool.active]
    assert embedded.embedding is not None
    np.testing.assert_array_equal(embedded.embedding[:2], np.array([0.5, 0.0], dtype=np.float32))
    np.testing.assert_array_equal(embedded.impacts[0], [0, 1])
    np.testing.assert_array_equal(embedded.impacts[1], np.array([0.5, 0.5], dtype=np.float32))
    pages = [(await stored_index.changed_tools(room.pool, room.org, one, limit=1))[0]]
    pages += await stored_index.changed_tools(room.pool, room.org, one, limit=1, after=pages[0].tool_id)
    assert [tool.tool_id for tool in pages] == sorted([first.tool_id, second.tool_id])
    latest = await stored_index.catalog_state(room.pool, room.org)
    assert await stored_index.changed_tools(room.pool, room.org, one, since=latest.revision) == []


async def test_no_organisation_writes_into_the_index_of_another(room: Room) -> None:
    stranger = await Room(room.pool).open()
    mine, theirs = await room.integration(), await stranger.integration()
    tool = row(mine, "cancel order")
    await room.put([tool])
    with pytest.raises(ValueError, match="another organisation"):
        await stranger.put([row(theirs, "stolen", tool.tool_id)])
    with pytest.raises(NotFound):
        await stranger.put([row(mine, "planted")])
    await stranger.embed(mine, [waiting(tool)])
    await stranger.retire(mine, [tool.tool_id])
    async with transaction(room.pool) as connection:
        await tool_index.set_groups(connection, stranger.org, mine, {tool.tool_id: IDS.new()})
    stored = await room.pool.fetchrow("SELECT * FROM tool_index WHERE tool_id = $1", tool.tool_id)
    assert stored is not None
    assert (stored["active"], stored["embedding"], stored["group_id"], stored["name"]) == (
        True,
        None,
        None,
        "cancel_order",
    )
    assert await stored_index.changed_tools(room.pool, stranger.org, mine) == []
    await room.assert_counts_are_exact()
    await stranger.assert_counts_are_exact()


async def test_a_row_is_made_anew_only_while_it_is_what_it_was(room: Room) -> None:
    one = await room.integration()
    stale, retired, replaced = row(one, "cancel order"), row(one, "list order"), row(one, "get order")
    await room.put([stale, retired, replaced])
    await room.pool.execute("UPDATE tool_index SET entry_revision = 0 WHERE org_id = $1", room.org.org_id)
    found = await tool_index.to_make(room.pool, room.org, 1, 10)
    assert {tool_id for tool_id, _ in found} == {stale.tool_id, retired.tool_id, replaced.tool_id}
    assert room.org.org_id in await tool_index.organizations_to_make(room.pool, 1)
    await room.retire(one, [retired.tool_id])
    await room.put([row(one, "get order again", replaced.tool_id, version=2)])
    async with transaction(room.pool) as connection:
        made = [row(one, "made anew", tool_id, version) for tool_id, version in found]
        await tool_index.remake(connection, room.org, made)
    names = await room.pool.fetch("SELECT tool_id, name, active FROM tool_index WHERE org_id = $1", room.org.org_id)
    assert {one["tool_id"]: (one["name"], one["active"]) for one in names} == {
        stale.tool_id: ("made_anew", True),
        retired.tool_id: ("list_order", False),
        replaced.tool_id: ("get_order_again", True),
    }
    assert await tool_index.to_make(room.pool, room.org, 1, 10) == []
    await room.assert_counts_are_exact()
