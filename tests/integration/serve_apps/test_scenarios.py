"""Scenarios, the routing cache and feedback over the API."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest

from models.base import JsonObject, JsonValue
from models.events import EventType
from models.ids import IntegrationId, RunId, ToolId
from models.runs import RunStatus
from planvault.storage import catalog, catalog_tools
from planvault.storage.pool import transaction
from retrieval.scenarios.learner import ScenarioLearner
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant, open_session
from tests.unit.retrieval.tool_factory import http_tool

pytestmark = pytest.mark.postgres
TOOLS = ("list_orders", "get_order", "send_mail")
BODY: dict[str, Any] = {
    "name": "Orders of a day",
    "sampleQueries": ["show my orders", "  which orders came in today? "],
    "tools": ["list_orders", "get_order"],
    "systemInstruction": "The customer is {{customer}}.",
    "priority": 60,
}


async def shop(deps: ObservedDeps, tenant: Tenant, alias: str = "shop", names: Sequence[str] = TOOLS) -> IntegrationId:
    integration_id = IntegrationId(deps.ids.new())
    await catalog.create_integration(deps.database, tenant.scope, integration_id, alias=alias, display_name=alias)
    tools = [
        http_tool(name).model_copy(
            update={"id": ToolId(deps.ids.new()), "org_id": tenant.scope.org_id, "integration_id": integration_id}
        )
        for name in names
    ]
    async with transaction(deps.database) as connection:
        await catalog_tools.insert_tools(connection, tenant.scope, [(tool, tool.name) for tool in tools])
    return integration_id


async def ended_run(
    recorder: Recorder,
    prompt: str,
    *tools: str,
    status: RunStatus = RunStatus.COMPLETED,
    rejected: bool = False,
) -> RunId:
    run_id = await recorder.run(RunStatus.PLANNING)
    named: JsonObject = {"runId": str(run_id)}
    nodes: list[JsonValue] = [{"id": tool, "kind": "call", "tool": tool} for tool in tools]
    await recorder.event(EventType.PROMPT, {**named, "content": prompt, "messageId": str(run_id)}, run_id=run_id)
    await recorder.event(EventType.STARTED, {**named, "planGraph": {"nodes": nodes}}, run_id=run_id)
    if rejected:
        await recorder.event(EventType.CONFIRM_PLAN_RESULT, {**named, "approved": False}, run_id=run_id)
        status = RunStatus.CANCELLED
    for tool in () if rejected else tools:
        await recorder.event(EventType.TOOL_END, {**named, "tool": tool, "ok": True}, run_id=run_id)
    await recorder.run(status, run_id=run_id)
    return run_id


async def learn(deps: ObservedDeps) -> None:
    learner = ScenarioLearner(deps.database, deps.history, deps.embedder, deps.ids)
    while await learner.learn():
        pass


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


async def test_a_scenario_is_made_read_replaced_and_deleted_and_each_is_on_record(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await shop(deps, tenant)
    base = f"{tenant.admin}/scenarios"
    made = await admin.post(base, json=BODY, headers={"X-Operator-Id": "ada"})
    assert made.status_code == 201, made.text
    scenario = made.json()
    assert scenario["sampleQueries"] == ["show my orders", "which orders came in today?"]
    assert [tool["name"] for tool in scenario["tools"]] == ["get_order", "list_orders"]
    assert (scenario["successRate"], scenario["createdBy"]) == (1.0, "ada (admin-token)")
    assert (await admin.get(f"{base}/{scenario['id']}")).json() == scenario
    put = await admin.put(f"{base}/{scenario['id']}", json={**BODY, "enabled": False, "tools": ["send_mail"]})
    assert put.status_code == 200, put.text
    assert (put.json()["enabled"], [tool["name"] for tool in put.json()["tools"]]) == (False, ["send_mail"])
    assert (await admin.delete(f"{base}/{scenario['id']}")).status_code == 204
    assert (await admin.get(f"{base}/{scenario['id']}")).status_code == 404
    audit = (await admin.get(f"{tenant.admin}/audit")).json()["items"]
    assert [row["action"] for row in audit] == ["SCENARIO_DELETED", "SCENARIO_CHANGED", "SCENARIO_CREATED"]
    assert "show my orders" not in str(audit)


async def test_what_people_write_lies_encrypted(deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient) -> None:
    await shop(deps, tenant)
    await admin.post(f"{tenant.admin}/scenarios", json=BODY)
    [row] = await deps.database.fetch(
        "SELECT samples, instruction, created_by FROM scenarios WHERE org_id = $1", tenant.scope.org_id
    )
    assert all(b"orders" not in cell and b"customer" not in cell and b"admin" not in cell for cell in row.values())


async def test_pages_go_on_where_the_last_ended_and_a_project_sees_its_own(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await shop(deps, tenant)
    base, project = f"{tenant.admin}/scenarios", str(tenant.scope.project_id)
    for number in range(5):
        body = {**BODY, "name": f"s{number}", "projectId": project if number % 2 else None}
        assert (await admin.post(base, json=body)).status_code == 201
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (await admin.get(base, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == ["s4", "s3", "s2", "s1", "s0"]
    own = (await admin.get(base, params={"projectId": project})).json()["items"]
    assert [item["name"] for item in own] == ["s3", "s1"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"tools": ["list_orders", "no_such_tool"]}, "/tools/1"),
        ({"tools": []}, "/tools"),
        ({"priority": 1}, "/priority"),
        ({"priority": 101}, "/priority"),
        ({"sampleQueries": ["ok", "   "]}, "/sampleQueries/1"),
        ({"sampleQueries": ["x" * 2_001]}, "/sampleQueries/0"),
        ({"sampleQueries": ["ok"] * 21}, "/sampleQueries"),
        ({"systemInstruction": "Hello {{customer name}}"}, "/systemInstruction"),
        ({"systemInstruction": "x" * 4_001}, "/systemInstruction"),
        ({"name": ""}, "/name"),
        ({"samples": []}, "/samples"),
    ],
)
async def test_a_fault_is_refused_with_a_pointer_to_it(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    await shop(deps, tenant)
    answer = await admin.post(f"{tenant.admin}/scenarios", json={**BODY, **change})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_tools_and_projects_of_others_are_not_there(
    deps: ObservedDeps, tenant: Tenant, stranger: Tenant, admin: httpx.AsyncClient
) -> None:
    await shop(deps, stranger)
    assert (await admin.post(f"{tenant.admin}/scenarios", json=BODY)).status_code == 422
    await shop(deps, tenant)
    body = {**BODY, "projectId": str(stranger.scope.project_id)}
    assert (await admin.post(f"{tenant.admin}/scenarios", json=body)).status_code == 404
    made = (await admin.post(f"{tenant.admin}/scenarios", json=BODY)).json()["id"]
    for method in ("GET", "DELETE"):
        assert (await admin.request(method, f"{stranger.admin}/scenarios/{made}")).status_code == 404
    assert (await admin.put(f"{stranger.admin}/scenarios/{made}", json=BODY)).status_code == 404


async def test_the_same_request_under_one_key_makes_one_scenario(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await shop(deps, tenant)
    answers = [
        await admin.post(f"{tenant.admin}/scenarios", json=BODY, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert len((await admin.get(f"{tenant.admin}/scenarios")).json()["items"]) == 1


async def test_an_integration_that_scenarios_name_is_deleted_only_on_a_persons_word(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, session: Recorder
) -> None:
    integration, other = await shop(deps, tenant), await shop(deps, tenant, "mail", ["write_mail"])
    await ended_run(session, "show my orders", "list_orders")
    await learn(deps)
    await admin.post(f"{tenant.admin}/scenarios", json={**BODY, "tools": ["list_orders", "write_mail"]})
    url = f"{tenant.admin}/tools/{integration}"
    refused = await admin.delete(url)
    assert (refused.status_code, code_of(refused)) == (409, "TOOL_DELETE_BLOCKED_BY_SCENARIOS")
    assert "Orders of a day" in refused.json()["detail"]
    assert (await admin.get(url)).status_code == 200
    assert (await admin.delete(url, params={"confirmDeleteScenarios": "true"})).status_code == 204
    assert (await admin.get(f"{tenant.admin}/scenarios")).json()["items"] == []
    assert (await admin.get(f"{tenant.admin}/routing-cache")).json()["entries"] == 0
    assert (await admin.delete(f"{tenant.admin}/tools/{other}")).status_code == 204


async def test_a_scenario_that_is_made_while_its_integration_goes_never_outlives_its_tools(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    """Whoever comes first wins: the deletion is refused, or the tools are not there."""
    for number in range(4):
        integration = await shop(deps, tenant, f"shop{number}")
        made, gone = await asyncio.gather(
            admin.post(f"{tenant.admin}/scenarios", json=BODY), admin.delete(f"{tenant.admin}/tools/{integration}")
        )
        assert (made.status_code, gone.status_code) in {(201, 409), (422, 204)}, (made.text, gone.text)
        for scenario in (await admin.get(f"{tenant.admin}/scenarios")).json()["items"]:
            assert [tool["offered"] for tool in scenario["tools"]] == [True, True]
        await admin.delete(f"{tenant.admin}/tools/{integration}", params={"confirmDeleteScenarios": "true"})


async def test_what_runs_have_taught_blocks_no_deletion(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, session: Recorder
) -> None:
    integration = await shop(deps, tenant)
    await ended_run(session, "show my orders", "list_orders")
    await learn(deps)
    assert (await admin.delete(f"{tenant.admin}/tools/{integration}")).status_code == 204
    assert (await admin.get(f"{tenant.admin}/routing-cache")).json()["entries"] == 0


async def test_a_retired_tool_stays_in_its_scenario_and_shows_as_not_offered(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    await shop(deps, tenant)
    made = (await admin.post(f"{tenant.admin}/scenarios", json=BODY)).json()
    retired = next(tool["id"] for tool in made["tools"] if tool["name"] == "get_order")
    await catalog_tools.retire(deps.database, tenant.scope, [ToolId(UUID(retired))])
    shown = (await admin.get(f"{tenant.admin}/scenarios/{made['id']}")).json()
    assert {tool["name"]: tool["offered"] for tool in shown["tools"]} == {"get_order": False, "list_orders": True}


async def test_the_routing_cache_is_listed_without_prompts_switched_and_cleared(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, session: Recorder
) -> None:
    await shop(deps, tenant)
    await ended_run(session, "show my orders", "list_orders")
    await ended_run(session, "mail them to me now", "send_mail")
    await learn(deps)
    base = f"{tenant.admin}/routing-cache"
    listed = (await admin.get(base)).json()
    assert listed["settings"] == {"enabled": True, "minUsers": 1, "halfLifeDays": 30.0}
    assert [[tool["name"] for tool in item["tools"]] for item in listed["items"]] == [["send_mail"], ["list_orders"]]
    assert all(item["inUse"] and item["users"] == 1 for item in listed["items"])
    assert "orders to me" not in str(listed)
    assert (await admin.put(base, json={"minUsers": 2})).json()["minUsers"] == 2
    assert not any(item["inUse"] for item in (await admin.get(base)).json()["items"])
    off = (await admin.put(base, json={"enabled": False})).json()
    assert (off["enabled"], off["minUsers"]) == (False, 2)
    assert (await admin.get(f"{tenant.admin}/settings")).json()["retrieval"]["routingCache"] is False
    await ended_run(session, "cancel that order of mine", "get_order")
    await learn(deps)
    assert (await admin.get(base)).json()["entries"] == 2
    one = listed["items"][0]["id"]
    assert (await admin.delete(f"{base}/{one}")).status_code == 204
    assert (await admin.delete(f"{base}/{one}")).status_code == 404
    assert (await admin.delete(base)).json() == {"deleted": 1}
    assert (await admin.get(base)).json()["items"] == []


async def test_a_pattern_that_runs_support_is_suggested_and_becomes_a_scenario(
    deps: ObservedDeps, tenant: Tenant, stranger: Tenant, admin: httpx.AsyncClient, session: Recorder
) -> None:
    await shop(deps, tenant)
    base = f"{tenant.admin}/routing-cache/suggestions"
    await ended_run(session, "show my orders", "list_orders")
    await learn(deps)
    assert (await admin.get(base)).json()["items"] == []
    for _ in range(3):
        await ended_run(session, "show my orders", "list_orders")
    await learn(deps)
    [pattern] = (await admin.get(base)).json()["items"]
    body = {"name": "Orders", "sampleQueries": ["show my orders"]}
    assert (
        await admin.post(f"{stranger.admin}/routing-cache/suggestions/{pattern['id']}", json=body)
    ).status_code == 404
    key = {"Idempotency-Key": "adopt"}
    made = await admin.post(f"{base}/{pattern['id']}", json=body, headers=key)
    assert made.status_code == 201, made.text
    assert [tool["name"] for tool in made.json()["tools"]] == ["list_orders"]
    assert (await admin.post(f"{base}/{pattern['id']}", json=body, headers=key)).json() == made.json()
    assert (await admin.get(base)).json()["items"] == []
    assert (await admin.post(f"{base}/{pattern['id']}", json=body)).status_code == 404


async def test_a_pattern_of_more_tools_than_a_scenario_may_have_is_adopted_with_fewer(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, session: Recorder
) -> None:
    names = [f"tool_{number}" for number in range(60)]
    await shop(deps, tenant, names=names)
    await ended_run(session, "show my orders", *names)
    await learn(deps)
    [entry] = (await admin.get(f"{tenant.admin}/routing-cache")).json()["items"]
    url, body = f"{tenant.admin}/routing-cache/suggestions/{entry['id']}", {"name": "All", "sampleQueries": ["all"]}
    too_many = await admin.post(url, json=body)
    assert (too_many.status_code, code_of(too_many)) == (409, "CONFLICT")
    assert (await admin.post(url, json={**body, "tools": names[:50]})).status_code == 201


async def test_feedback_is_for_ended_runs_one_vote_a_person_and_the_last_one_counts(
    deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await shop(deps, tenant)
    run_id = str(await ended_run(session, "show my orders", "list_orders"))
    open_run = str(await session.run(RunStatus.EXECUTING))
    vote = {"runId": run_id, "value": "like", "comment": "just right"}
    early = await client.post(f"{path}/feedback", json={**vote, "runId": open_run})
    assert (early.status_code, code_of(early)) == (409, "CONFLICT")
    first = await client.post(f"{path}/feedback", json=vote)
    assert first.status_code == 200, first.text
    again = await client.post(f"{path}/feedback", json=vote)
    assert again.json() == first.json()
    await client.post(f"{path}/feedback", json=vote, headers={"X-Operator-Id": "Bob"})
    changed = await client.post(
        f"{path}/feedback", json={**vote, "value": "dislike"}, headers={"X-Operator-Id": "bob "}
    )
    assert changed.json()["value"] == "dislike"
    rows = await deps.database.fetch("SELECT value, comment, voter FROM feedback WHERE run_id = $1", UUID(run_id))
    assert sorted(row["value"] for row in rows) == ["dislike", "like"]
    assert all(b"just right" not in row["comment"] and b"bob" not in row["voter"] for row in rows)


async def test_feedback_knows_no_run_of_another_session_or_tenant(
    deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    other = await open_session(deps, client, tenant)
    foreign = await other.run(RunStatus.COMPLETED)
    nobodys = uuid5(UUID(int=1), "no run")
    for run_id in (foreign, nobodys):
        answer = await client.post(f"{path}/feedback", json={"runId": str(run_id), "value": "like"})
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("change", [{"value": "meh"}, {"comment": "x" * 4_001}, {"runId": "x"}, {"extra": 1}])
async def test_feedback_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, path: str, change: dict[str, Any]
) -> None:
    body = {"runId": str(UUID(int=1)), "value": "like", **change}
    assert (await client.post(f"{path}/feedback", json=body)).status_code == 422
