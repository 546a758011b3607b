"""Tools and integrations as a project sees them, and the dry run of their selection."""

import asyncio

import httpx
import pytest

from models.ids import IntegrationId, ToolId
from models.tools import HttpBinding, ParamLocation, Tool, ToolParam
from planvault.storage import catalog, catalog_tools, tool_index
from planvault.storage.pool import transaction
from retrieval.index.entries import index_row
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant


async def add_integration(deps: ObservedDeps, tenant: Tenant, alias: str, names: list[str]) -> IntegrationId:
    integration_id = IntegrationId(deps.ids.new())
    tools = [
        Tool(
            id=ToolId(deps.ids.new()),
            org_id=tenant.scope.org_id,
            integration_id=integration_id,
            name=name,
            group=alias,
            summary=f"Does {name}",
            params=(
                ToolParam(
                    name="orderId", location=ParamLocation.PATH, wire_name="orderId", required=True,
                    schema={"type": "string"},
                ),
            ),
            binding=HttpBinding(method="GET", path="/x/{orderId}"),
            definition_hash=name,
        )
        for name in names
    ]  # fmt: skip
    async with transaction(deps.database) as connection:
        await catalog.create_integration(
            connection, tenant.scope, integration_id, alias=alias, display_name=alias.title()
        )
        await catalog_tools.insert_tools(connection, tenant.scope, [(tool, tool.name) for tool in tools])
        await tool_index.upsert(connection, tenant.scope, [index_row(tool) for tool in tools])
    return integration_id


async def test_enabled_tools_are_listed_by_name_with_their_inputs_and_paged(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    await add_integration(deps, tenant, "shop", ["list_orders", "get_order", "cancel_order"])
    first = (await client.get(f"{tenant.base}/tools", params={"limit": 2})).json()
    rest = (await client.get(f"{tenant.base}/tools", params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [tool["name"] for tool in first["items"] + rest["items"]] == ["cancel_order", "get_order", "list_orders"]
    assert rest["nextCursor"] is None
    tool = first["items"][0]
    assert tool["params"] == [{"name": "orderId", "required": True, "description": "", "schema": {"type": "string"}}]
    assert (tool["risk"], tool["idempotency"], tool["group"]) == ("read", "none", "shop")


async def test_an_integration_is_switched_off_for_one_project_only(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await add_integration(deps, tenant, "shop", ["list_orders"])
    url = f"{tenant.base}/tools/integrations/shop"
    body = {
        "enabled": False,
        "approvalPolicy": "always",
        "auth": {"Authorization": "Bearer {{secrets.SHOP_TOKEN}}"},
    }
    put = await client.put(url, json=body)
    assert put.status_code == 200
    listed = (await client.get(f"{tenant.base}/tools", params={"type": "integration"})).json()["items"]
    assert listed == [put.json()]
    assert {name: put.json()[name] for name in body} == body
    assert put.json()["toolCount"] == 1
    assert (await client.get(f"{tenant.base}/tools")).json()["items"] == []
    back = await client.put(url, json={"enabled": True})
    assert (back.json()["enabled"], back.json()["approvalPolicy"], back.json()["auth"]) == (True, None, {})
    assert len((await client.get(f"{tenant.base}/tools")).json()["items"]) == 1


async def test_an_api_key_may_stand_in_the_query(deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant) -> None:
    await add_integration(deps, tenant, "films", ["list_films"])
    auth = {"?api_key": "{{secrets.FILMS_KEY}}", "Cookie": "session={{secrets.FILMS_KEY}}"}
    put = await client.put(f"{tenant.base}/tools/integrations/films", json={"enabled": True, "auth": auth})
    assert (put.status_code, put.json()["auth"]) == (200, auth)


async def test_a_batch_changes_all_or_none(deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant) -> None:
    for alias in ("shop", "crm"):
        await add_integration(deps, tenant, alias, [f"{alias}_tool"])
    url = f"{tenant.base}/tools/integrations"
    off = [{"alias": "shop", "enabled": False}, {"alias": "crm", "enabled": False}]
    refused = await client.put(url, json={"integrations": [*off, {"alias": "missing", "enabled": True}]})
    assert refused.status_code == 404
    listed = (await client.get(f"{tenant.base}/tools", params={"type": "integration"})).json()["items"]
    assert {item["alias"]: item["enabled"] for item in listed} == {"crm": True, "shop": True}
    changed = await client.put(url, json={"integrations": off})
    assert {item["alias"]: item["enabled"] for item in changed.json()["items"]} == {"crm": False, "shop": False}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/enabled"),
        ({"enabled": 1}, "/enabled"),
        ({"enabled": True, "approvalPolicy": "sometimes"}, "/approvalPolicy"),
        ({"enabled": True, "auth": {"X-Key": "a\r\nInjected: yes"}}, "/auth/X-Key"),
        ({"enabled": True, "auth": {"Transfer-Encoding": "chunked"}}, "/auth/Transfer-Encoding"),
        ({"enabled": True, "auth": {"?": "{{secrets.KEY}}"}}, "/auth/?"),
    ],
)
async def test_a_faulty_decision_is_refused_with_a_pointer(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, body: dict[str, object], pointer: str
) -> None:
    await add_integration(deps, tenant, "shop", ["list_orders"])
    answer = await client.put(f"{tenant.base}/tools/integrations/shop", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_the_dry_run_explains_tier_timings_and_scores(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    await add_integration(deps, tenant, "shop", ["list_orders", "get_order"])
    answer = await client.post(f"{tenant.base}/tools/test-selection", json={"query": "which orders are open?"})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["tier"], found["catalogSize"]) == ("direct", 2)
    assert sorted(found["shortlist"]) == ["get_order", "list_orders"]
    assert {candidate["name"] for candidate in found["candidates"]} == set(found["shortlist"])
    assert found["timingsMs"]["total"] >= 0


async def test_the_scores_of_a_dry_run_recompute_its_ranking(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    verbs, nouns = ("list", "get", "create", "update", "delete", "search"), ("order", "customer", "invoice", "parcel")
    for noun in nouns:
        await add_integration(deps, tenant, noun, [f"{verb}_{noun}" for verb in verbs])
    body = {"query": "find the open orders, and then send an invoice to the customer", "maxTools": 7}
    found = (await client.post(f"{tenant.base}/tools/test-selection", json=body)).json()
    rows = found["candidates"]
    assert (found["tier"], found["catalogSize"], len(rows)) == ("flat_rag", 24, 24)
    assert len(found["parts"]) == 3, "the prompt and its two clauses"
    for row in rows:
        assert sum(row["scores"].values()) == pytest.approx(row["score"], abs=1e-5)
        assert len(row["dense"]) == len(row["lexical"]) == 3
    ranking = [row["name"] for row in sorted(rows, key=lambda row: (-row["score"], row["name"]))]
    assert found["shortlist"] == ranking[:7]
    assert {row["excluded"] for row in rows if row["name"] in found["shortlist"]} == {None}
    assert {row["excluded"] for row in rows if row["name"] not in found["shortlist"]} == {"shortlist_full"}


async def test_candidates_beyond_the_shortlist_are_bounded(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    await add_integration(deps, tenant, "shop", ["list_orders", "get_order", "cancel_order", "list_parcels"])
    for candidates, shown in ((1, 2), (3, 3), (100, 4)):
        body = {"query": "orders", "maxTools": 2, "candidates": candidates}
        found = (await client.post(f"{tenant.base}/tools/test-selection", json=body)).json()
        assert (len(found["shortlist"]), len(found["candidates"])) == (2, shown)


async def test_a_tier_can_be_forced_for_one_dry_run_and_for_a_project(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await add_integration(deps, tenant, "shop", ["list_orders", "get_order"])
    url = f"{tenant.base}/tools/test-selection"
    for strategy in ("direct", "flat_rag", "full_rag", "hierarchical_rag"):
        forced = (await client.post(url, json={"query": "orders", "strategy": strategy})).json()
        assert (forced["tier"], sorted(forced["shortlist"])) == (strategy, ["get_order", "list_orders"])
        assert forced["tierReason"].startswith("the request")
    settings = f"{tenant.admin}/projects/{tenant.scope.project_id}/settings"
    await admin.put(settings, json={"retrieval": {"mode": "full_rag", "maxTools": 1}})
    by_settings = (await client.post(url, json={"query": "orders"})).json()
    assert (by_settings["tier"], len(by_settings["shortlist"])) == ("full_rag", 1)
    automatic = (await client.post(url, json={"query": "orders", "strategy": "auto", "maxTools": 5})).json()
    assert automatic["tier"] == "direct"


async def test_a_groups_cap_takes_tools_out_and_says_so(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await add_integration(deps, tenant, "shop", [f"order_{number}" for number in range(12)])
    await add_integration(deps, tenant, "post", [f"parcel_{number}" for number in range(12)])
    await admin.put(f"{tenant.admin}/settings", json={"retrieval": {"perGroupCap": 3, "maxTools": 20}})
    found = (await client.post(f"{tenant.base}/tools/test-selection", json={"query": "orders"})).json()
    groups = [row["group"] for row in found["candidates"] if row["excluded"] is None]
    assert (groups.count("shop"), groups.count("post")) == (3, 3)
    assert {row["excluded"] for row in found["candidates"]} == {None, "group_cap"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"query": " "}, "/query"),
        ({"query": "x" * 32_001}, "/query"),
        ({"query": "orders", "strategy": "best"}, "/strategy"),
        ({"query": "orders", "maxTools": 0}, "/maxTools"),
        ({"query": "orders", "maxTools": 201}, "/maxTools"),
        ({"query": "orders", "candidates": 1_001}, "/candidates"),
        ({"query": "orders", "max_tools": 3}, "/max_tools"),
    ],
)
async def test_a_faulty_dry_run_is_refused_with_a_pointer(
    client: httpx.AsyncClient, tenant: Tenant, body: dict[str, object], pointer: str
) -> None:
    answer = await client.post(f"{tenant.base}/tools/test-selection", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_batches_that_name_the_same_integrations_in_other_orders_do_not_lock_each_other_up(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    names = ("aa", "bb", "cc")
    for name in names:
        await catalog.create_integration(
            deps.database, tenant.scope, IntegrationId(deps.ids.new()), alias=name, display_name=name
        )

    async def put(order: str) -> int:
        batch = [{"alias": name, "enabled": True} for name in order.split()]
        answer = await client.put(f"{tenant.base}/tools/integrations", json={"integrations": batch})
        return answer.status_code

    assert await put("aa bb cc") == 200
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with deps.database.acquire() as held, asyncio.timeout(20):
        lock = held.transaction()
        await lock.start()
        await held.execute(
            "SELECT FROM project_integrations p JOIN integrations i ON i.id = p.integration_id"
            " WHERE p.project_id = $1 AND i.alias = 'bb' FOR UPDATE OF p",
            tenant.scope.project_id,
        )
        batches = [asyncio.create_task(put(order)) for order in ("aa bb cc", "cc bb aa")]
        while await deps.database.fetchval(waiting) < 2:
            await asyncio.sleep(0.01)
        await lock.rollback()
        assert await asyncio.gather(*batches) == [200, 200]
