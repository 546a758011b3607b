"""Groups follow the catalog: every change of tools, whoever makes it."""

import asyncio

import numpy as np

from models.ids import IntegrationId
from planvault.storage.pool import transaction
from retrieval.groups.upkeep import Regrouped
from tests.integration.retrieval.groups.catalog import GroupCatalog
from tests.unit.retrieval.groups.vectors import around, topic

_STALE = (
    "SELECT count(*) FROM integration_revision r LEFT JOIN tool_group_progress p USING (integration_id)"
    " WHERE r.org_id = $1 AND p.revision IS DISTINCT FROM r.revision"
)


async def _group_ids(catalog: GroupCatalog, integration: IntegrationId) -> set[object]:
    rows = await catalog.pool.fetch("SELECT id FROM tool_group_centroids WHERE integration_id = $1", integration)
    return {row["id"] for row in rows}


async def test_tools_that_were_embedded_stand_in_groups_with_their_mean_as_centroid(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    users, orders = around(1, 8), around(2, 9)
    user_ids = await catalog.put(integration, "api/users", users)
    order_ids = await catalog.put(integration, "api/orders", orders)
    assert await catalog.keeper.regroup(catalog.org, integration) == Regrouped(bases=2, groups=2)
    assert await catalog.groups(integration) == {"api/users": (8, "centroid"), "api/orders": (9, "centroid")}
    centroids = await catalog.centroids(integration)
    np.testing.assert_allclose(centroids[frozenset(user_ids)], users.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(centroids[frozenset(order_ids)], orders.mean(axis=0), atol=1e-6)


async def test_where_nothing_changed_nothing_is_written(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    await catalog.put(integration, "api", around(1, 8))
    await catalog.keeper.regroup(catalog.org, integration)
    revision = "SELECT revision FROM catalog_revision WHERE org_id = $1"
    before = await catalog.pool.fetchval(revision, catalog.org.org_id)
    assert await catalog.keeper.regroup(catalog.org, integration) == Regrouped()
    assert await catalog.pool.fetchval(revision, catalog.org.org_id) == before


async def test_a_change_recomputes_its_own_group_and_no_other(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    users = await catalog.put(integration, "api/users", around(1, 8))
    await catalog.put(integration, "api/orders", around(2, 9))
    await catalog.keeper.regroup(catalog.org, integration)
    ids = await _group_ids(catalog, integration)
    changed = around(1, 1, seed=9)
    await catalog.put(integration, "api/users", changed, users[:1])
    assert await catalog.keeper.regroup(catalog.org, integration) == Regrouped(bases=1, groups=1)
    wanted = np.concatenate([changed, around(1, 8)[1:]]).mean(axis=0)
    np.testing.assert_allclose((await catalog.centroids(integration))[frozenset(users)], wanted, atol=1e-6)
    assert await _group_ids(catalog, integration) == ids  # a group keeps its id


async def test_a_change_of_group_moves_the_tool_and_a_group_without_tools_goes(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    moved = await catalog.put(integration, "api/old", around(1, 8))
    await catalog.keeper.regroup(catalog.org, integration)
    await catalog.put(integration, "api/new", around(1, 8), moved)
    assert await catalog.keeper.regroup(catalog.org, integration) == Regrouped(bases=1, groups=1, removed=1)
    assert await catalog.groups(integration) == {"api/new": (8, "centroid")}


async def test_retired_tools_leave_their_group_and_revived_ones_come_back(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    tools = await catalog.put(integration, "api", around(1, 10))
    await catalog.keeper.regroup(catalog.org, integration)
    await catalog.retire(integration, tools[:3])
    await catalog.keeper.regroup(catalog.org, integration)
    assert await catalog.groups(integration) == {"api": (7, "centroid")}
    left = "SELECT count(*) FROM tool_index WHERE org_id = $1 AND group_id IS NULL"
    assert await catalog.pool.fetchval(left, catalog.org.org_id) == 3
    await catalog.revive(integration, tools[:3])
    await catalog.keeper.regroup(catalog.org, integration)
    assert await catalog.groups(integration) == {"api": (10, "centroid")}
    assert await catalog.pool.fetchval(left, catalog.org.org_id) == 0


async def test_an_integration_whose_last_tool_is_retired_has_no_groups(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    tools = await catalog.put(integration, "api", around(1, 6))
    await catalog.keeper.regroup(catalog.org, integration)
    await catalog.retire(integration, tools)
    assert await catalog.keeper.regroup(catalog.org, integration) == Regrouped(removed=1)
    assert await catalog.groups(integration) == {}


async def test_the_groups_of_a_deleted_integration_go_with_it_and_grouping_it_is_no_fault(
    catalog: GroupCatalog,
) -> None:
    integration = await catalog.integration()
    await catalog.put(integration, "api", around(1, 6))
    await catalog.keeper.regroup(catalog.org, integration)
    await catalog.pool.execute("DELETE FROM integrations WHERE id = $1", integration)
    assert await _group_ids(catalog, integration) == set()
    assert await catalog.keeper.regroup(catalog.org, integration) == Regrouped()


async def test_tools_from_before_there_were_groups_are_found_and_grouped(catalog: GroupCatalog) -> None:
    integrations = [await catalog.integration(alias) for alias in ("one", "two")]
    for integration in integrations:
        await catalog.put(integration, "api", around(1, 6))
    assert await catalog.pool.fetchval(_STALE, catalog.org.org_id) == 2
    assert await catalog.keeper.heal() >= 2
    assert await catalog.pool.fetchval(_STALE, catalog.org.org_id) == 0
    assert [await catalog.groups(integration) for integration in integrations] == [{"api": (6, "centroid")}] * 2


async def test_groups_of_older_rules_are_made_anew(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    await catalog.put(integration, "api", around(1, 6))
    await catalog.keeper.heal()
    await catalog.pool.execute(
        "UPDATE tool_group_centroids SET members_sha256 = '', reach = 9 WHERE integration_id = $1", integration
    )
    await catalog.pool.execute("UPDATE tool_group_progress SET rules = 0 WHERE integration_id = $1", integration)
    assert await catalog.keeper.heal() == 1
    reach = "SELECT reach FROM tool_group_centroids WHERE integration_id = $1"
    assert await catalog.pool.fetchval(reach, integration) < 1


async def test_an_integration_that_is_being_imported_is_left_to_its_import(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    await catalog.put(integration, "api", around(1, 6))
    await catalog.pool.execute(
        "INSERT INTO imports (id, org_id, integration_id, status) VALUES ($1, $2, $1, 'embedding')",
        integration,
        catalog.org.org_id,
    )
    await catalog.keeper.heal()
    assert await catalog.groups(integration) == {}
    await catalog.pool.execute("UPDATE imports SET status = 'failed' WHERE id = $1", integration)
    await catalog.keeper.heal()
    assert await catalog.groups(integration) == {"api": (6, "centroid")}


async def test_tools_without_a_vector_stand_in_no_group(catalog: GroupCatalog) -> None:
    integration = await catalog.integration()
    tools = await catalog.put(integration, "api", around(1, 8))
    await catalog.keeper.regroup(catalog.org, integration)
    await catalog.pool.execute("UPDATE tool_index SET embedding_model = 'other' WHERE tool_id = $1", tools[0])
    await catalog.keeper.regroup(catalog.org, integration)
    assert await catalog.groups(integration) == {"api": (7, "centroid")}


async def test_imports_and_groupings_side_by_side_end_in_groups_that_are_right(catalog: GroupCatalog) -> None:
    integrations = [await catalog.integration(f"api{number}") for number in range(3)]

    async def change(integration: IntegrationId, number: int) -> None:
        await catalog.put(integration, f"api/{number}", around(number, 7))
        await catalog.keeper.follow(catalog.org, integration)

    await asyncio.gather(*(change(each, number) for each in integrations for number in range(4)))
    await catalog.keeper.heal()
    for integration in integrations:
        expected = {f"api/{number}": (7, "centroid") for number in range(4)}
        assert await catalog.groups(integration) == expected
        for tools, centroid in (await catalog.centroids(integration)).items():
            assert len(tools) == 7
            assert max(float(centroid @ topic(number)) for number in range(4)) > 0.8


async def test_members_that_change_while_they_are_clustered_are_not_written_as_they_were(
    catalog: GroupCatalog,
) -> None:
    """Another import holds the index's lock when the grouping wants to write."""
    integration = await catalog.integration()
    tools = await catalog.put(integration, "api", around(1, 8))
    async with transaction(catalog.pool) as other:
        await other.execute("SELECT revision FROM catalog_revision WHERE org_id = $1 FOR UPDATE", catalog.org.org_id)
        grouping = asyncio.create_task(catalog.keeper.regroup(catalog.org, integration))
        await _waits_for_a_lock(catalog)
        await other.execute("UPDATE tool_index SET active = false WHERE tool_id = $1", tools[0])
    assert (await grouping).bases == 1
    assert await catalog.groups(integration) == {"api": (7, "centroid")}


async def _waits_for_a_lock(catalog: GroupCatalog) -> None:
    async with asyncio.timeout(10):
        while not await catalog.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)
