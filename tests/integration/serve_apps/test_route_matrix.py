"""Every route × every kind of caller. The table is generated, so a route without a guard fails here."""

import httpx
from openapi_spec_validator import validate

from models import access
from planvault.auth.keys import new_project_key
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant
from tests.integration.serve_apps.routes import SOME_ID, Route, all_routes, guarded_routes, openapi_document

JSON_PROBLEM = "application/problem+json"


async def call(client: httpx.AsyncClient, route: Route, url: str, auth: dict[str, str]) -> httpx.Response:
    return await client.request(route.method, url, json=route.body, headers=auth)


def check_problem(answer: httpx.Response, status: int, route: Route) -> None:
    where = f"{route.method} {route.path}"
    assert answer.status_code == status, f"{where}: {answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == JSON_PROBLEM, where
    problem = answer.json()
    assert problem["status"] == status, where
    assert problem["instance"] == answer.headers["x-request-id"], where


async def test_without_a_credential_every_route_says_401(anonymous: httpx.AsyncClient, tenant: Tenant) -> None:
    for route in guarded_routes():
        url = route.url(projectId=str(tenant.scope.project_id), orgId=str(tenant.scope.org_id))
        for auth in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"},
                     {"Authorization": f"Bearer {new_project_key().text}"}):  # fmt: skip
            answer = await call(anonymous, route, url, auth)
            check_problem(answer, 401, route)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_another_tenants_rows_answer_404_as_if_they_were_not_there(
    client: httpx.AsyncClient, stranger: Tenant, session: Recorder
) -> None:
    """Both directions: a foreign project in the path, and a foreign session under one's own project."""
    for route in guarded_routes():
        if not route.is_runtime:
            continue
        ids = {"sessionId": str(session.scope.session_id)}
        check_problem(
            await call(client, route, route.url(projectId=str(stranger.scope.project_id), **ids), {}), 404, route
        )
        if "{sessionId}" in route.path:
            own = route.url(projectId=str(stranger.scope.project_id), **ids)
            check_problem(await call(client, route, own, stranger.auth), 404, route)


async def test_a_project_key_is_refused_by_the_admin_api_and_the_admin_token_by_the_runtime_api(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    for route in guarded_routes():
        url = route.url(projectId=str(tenant.scope.project_id), orgId=str(tenant.scope.org_id))
        check_problem(await call(client if route.is_admin else admin, route, url, {}), 403, route)


async def test_the_admin_api_knows_no_organisation_that_is_not_there_and_no_project_of_another(
    admin: httpx.AsyncClient, tenant: Tenant, stranger: Tenant
) -> None:
    for route in guarded_routes():
        if not route.is_admin:
            continue
        check_problem(await call(admin, route, route.url(orgId=SOME_ID), {}), 404, route)
        if "{projectId}" in route.path:
            url = route.url(orgId=str(tenant.scope.org_id), projectId=str(stranger.scope.project_id))
            check_problem(await call(admin, route, url, {}), 404, route)


async def test_a_key_without_the_scope_is_refused(
    deps: ObservedDeps, anonymous: httpx.AsyncClient, tenant: Tenant, session: Recorder
) -> None:
    """A key that holds only what no route of that kind asks for."""
    _, reads_tools = await deps.api_keys.create(tenant.scope, "tools", [access.TOOLS_READ])
    _, creates = await deps.api_keys.create(tenant.scope, "create", [access.SESSION_CREATE])
    for route in guarded_routes():
        if not route.is_runtime:
            continue
        key = creates if "/tools" in route.path else reads_tools
        url = route.url(projectId=str(tenant.scope.project_id), sessionId=str(session.scope.session_id))
        check_problem(await call(anonymous, route, url, {"Authorization": f"Bearer {key.text}"}), 403, route)


async def test_a_revoked_key_opens_nothing_on_a_replica_that_has_not_seen_it(
    deps: ObservedDeps, anonymous: httpx.AsyncClient, tenant: Tenant
) -> None:
    made, key = await deps.api_keys.create(tenant.scope, "short-lived", [access.ALL_OF_PROJECT])
    await deps.api_keys.revoke(tenant.scope, made.id)
    answer = await anonymous.get(f"{tenant.base}/sessions", headers={"Authorization": f"Bearer {key.text}"})
    assert answer.status_code == 401


async def test_malformed_ids_are_422_or_404_for_a_known_caller_and_401_for_a_stranger(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, tenant: Tenant
) -> None:
    broken = dict.fromkeys(("sessionId", "runId", "toolId", "importId", "keyId"), "%00not-a-uuid")
    for route in guarded_routes():
        known = admin if route.is_admin else client
        for ids in (
            broken | {"projectId": str(tenant.scope.project_id), "orgId": str(tenant.scope.org_id), "alias": "%00"},
            {"projectId": "nonsense", "orgId": "nonsense"},
        ):
            answer = await call(known, route, route.url(**ids), {})
            assert answer.status_code < 500, f"{route.method} {route.path}: {answer.text}"
            check_problem(await call(anonymous, route, route.url(**ids), {}), 401, route)


async def test_the_openapi_document_is_valid_and_declares_security_and_problems() -> None:
    document = openapi_document()
    validate(document)
    assert document["openapi"].startswith("3.1")
    for route in guarded_routes():
        where = f"{route.method} {route.path}"
        assert route.operation["security"] == [{"bearer": []}], where
        declared = route.operation["responses"]
        for status in ("401", "403", "404", "422", "500"):
            assert list(declared[status]["content"]) == [JSON_PROBLEM], f"{where} {status}"
        assert route.operation.get("description") or route.operation.get("summary"), where


async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    missing = await client.get("/nowhere", headers={"X-Request-Id": "abc"})
    assert (missing.status_code, missing.headers["content-type"]) == (404, JSON_PROBLEM)
    assert missing.json()["instance"] == missing.headers["x-request-id"] == "abc"
    for route in all_routes():
        answer = await client.request("PROPFIND", route.url())
        assert (answer.status_code, answer.headers["content-type"]) == (405, JSON_PROBLEM)
        assert answer.json()["type"] == "urn:planvault:problem:METHOD_NOT_ALLOWED"
        assert "allow" in answer.headers
