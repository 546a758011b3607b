"""The Admin API: catalog, settings, projects, keys, secrets."""

from dataclasses import replace

import httpx
import orjson
import pytest

from models import access
from models.tools import ImportOutcome, OperationReport
from planvault.storage import catalog_imports
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Recorder, Tenant, client_for

SPEC = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": {}}


async def register(admin: httpx.AsyncClient, tenant: Tenant, name: str = "shop") -> dict[str, str]:
    answer = await admin.post(f"{tenant.admin}/tools", json={"name": name, "openApiSpec": SPEC})
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


async def test_a_document_is_queued_for_import_as_it_was_sent(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    made = await register(admin, tenant)
    job = (await admin.get(f"{tenant.admin}/imports/{made['importId']}")).json()
    assert (job["status"], job["toolId"], job["report"], job["error"]) == ("queued", made["toolId"], [], None)
    row = await deps.database.fetchrow("SELECT document, spec_url FROM imports WHERE id = $1", made["importId"])
    assert (orjson.loads(row["document"]), row["spec_url"]) == (SPEC, None)


async def test_progress_and_the_per_operation_report_are_shown(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    made = await register(admin, tenant)
    claim = await catalog_imports.claim_import(deps.database, 30.0)
    while claim is not None and str(claim.id) != made["importId"]:
        claim = await catalog_imports.claim_import(deps.database, 30.0)
    assert claim is not None
    report = [OperationReport(operation="GET /orders", outcome=ImportOutcome.CREATED, tool="list_orders")]
    await catalog_imports.import_parsed(deps.database, claim, report, ["needs a key"], total=1, done=0)
    job = (await admin.get(f"{tenant.admin}/imports/{made['importId']}")).json()
    assert (job["status"], job["total"], job["done"], job["notes"]) == ("embedding", 1, 0, ["needs a key"])
    assert job["report"] == [{"operation": "GET /orders", "outcome": "created", "tool": "list_orders", "problems": []}]
    listed = (await admin.get(f"{tenant.admin}/imports", params={"toolId": made["toolId"]})).json()
    assert [item["id"] for item in listed["items"]] == [made["importId"]]


async def test_an_integration_is_listed_shown_replaced_and_deleted(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    made = await register(admin, tenant)
    url = f"{tenant.admin}/tools/{made['toolId']}"
    assert [item["name"] for item in (await admin.get(f"{tenant.admin}/tools")).json()["items"]] == ["shop"]
    body = {
        "name": "shop",
        "displayName": "The shop",
        "baseUrl": "http://127.0.0.1:8001",
        "openApiSpec": "openapi: 3.0.3",
    }
    replaced = await admin.put(url, json=body)
    assert replaced.status_code == 200
    assert replaced.json()["toolId"] == made["toolId"]
    shown = (await admin.get(url)).json()
    assert (shown["displayName"], shown["baseUrl"], shown["tools"]) == ("The shop", "http://127.0.0.1:8001", [])
    assert [job["id"] for job in shown["imports"]] == [replaced.json()["importId"], made["importId"]]
    renamed = await admin.put(url, json=body | {"name": "other"})
    assert renamed.status_code == 422
    assert renamed.json()["errors"][0]["pointer"] == "/name"
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get(url)).status_code == 404
    assert (await admin.delete(url)).status_code == 404


async def test_a_name_that_is_taken_is_a_conflict_and_leaves_nothing(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, stranger: Tenant
) -> None:
    await register(admin, tenant)
    again = await admin.post(f"{tenant.admin}/tools", json={"name": "shop", "openApiSpec": SPEC})
    assert again.status_code == 409
    assert await deps.database.fetchval("SELECT count(*) FROM imports WHERE org_id = $1", tenant.scope.org_id) == 1
    assert await register(admin, stranger), "another organisation may use the name"


async def test_an_import_repeated_with_its_key_is_one_integration(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    headers = {"Idempotency-Key": "import-1"}
    body = {"name": "shop", "openApiSpec": SPEC}
    answers = [await admin.post(f"{tenant.admin}/tools", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    other = await admin.post(f"{tenant.admin}/tools", json=body | {"displayName": "x"}, headers=headers)
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "shop"}, ""),
        ({"name": "shop", "openApiSpec": {}, "specUrl": "http://x.example"}, ""),
        ({"name": "Not A Name", "openApiSpec": {}}, "/name"),
        ({"name": "shop", "specUrl": "ftp://x.example"}, "/specUrl"),
        ({"name": "native", "openApiSpec": {}}, "/name"),
        ({"name": "shop", "openApiSpec": {}, "baseUrl": "shop.example"}, "/baseUrl"),
        ({"name": "shop", "openApiSpec": {}, "baseUrl": "https://user:password@shop.example"}, "/baseUrl"),
        ({"name": "shop", "openApiSpec": {}, "baseUrl": "https://shop.example/v1?key=1"}, "/baseUrl"),
        ({"name": "shop", "openApiSpec": {}, "baseUrl": "https://shop.example#@other.example"}, "/baseUrl"),
        ({"name": "shop", "specUrl": "https://user:password@shop.example/openapi.json"}, "/specUrl"),
        ({"name": "shop", "openApiSpec": {}, "surprise": 1}, "/surprise"),
    ],
)
async def test_a_faulty_registration_names_its_fault(
    admin: httpx.AsyncClient, tenant: Tenant, body: dict[str, object], pointer: str
) -> None:
    answer = await admin.post(f"{tenant.admin}/tools", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_bare_document_is_named_by_the_query_or_by_its_title(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    yaml = "openapi: 3.0.3\ninfo: {title: 'Task API (v2)', version: '1'}\npaths: {}\n"
    headers = {"Content-Type": "application/yaml"}
    query = {"name": "tasks", "baseUrl": "http://127.0.0.1:8009"}
    for params, name, base in (({}, "task-api-v2", ""), (query, "tasks", "http://127.0.0.1:8009")):
        answer = await admin.post(f"{tenant.admin}/tools", content=yaml, headers=headers, params=params)
        assert answer.status_code == 201, answer.text
        shown = (await admin.get(f"{tenant.admin}/tools/{answer.json()['toolId']}")).json()
        assert (shown["name"], shown["baseUrl"], shown["displayName"]) == (name, base, "Task API (v2)")
    assert await deps.database.fetchval("SELECT document FROM imports ORDER BY id DESC LIMIT 1") == yaml


async def test_a_body_of_another_type_is_415(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    answer = await admin.post(f"{tenant.admin}/tools", content=b"<a/>", headers={"Content-Type": "application/xml"})
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:planvault:problem:UNSUPPORTED_MEDIA_TYPE"


async def test_organisation_settings_are_replaced_as_a_whole(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.admin}/settings"
    opened = replace(deps, settings=deps.settings.model_copy(update={"egress_allow_loopback": True}))
    async with client_for(opened, {"Authorization": f"Bearer {ADMIN.text}"}) as open_admin:
        put = await open_admin.put(url, json={"egress": {"allowLoopback": True, "allowHosts": ["*.example.com"]}})
    assert put.status_code == 200
    assert (await admin.get(url)).json() == put.json()
    assert put.json()["egress"] == {"allowLoopback": True, "allowPrivate": False, "allowHosts": ["*.example.com"]}
    assert (await admin.put(url, json={})).json()["egress"]["allowLoopback"] is False
    assert (await admin.put(url, json={"egress": {"allowLoopback": "yes"}})).status_code == 422


async def test_nobody_opens_addresses_that_the_installation_keeps_shut(
    admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.admin}/settings"
    refused = await admin.put(url, json={"egress": {"allowLoopback": True, "allowPrivate": True}})
    assert refused.status_code == 422
    faults = {fault["pointer"]: fault["detail"] for fault in refused.json()["errors"]}
    assert "PLANVAULT_EGRESS_ALLOW_LOOPBACK" in faults["/egress/allowLoopback"]
    assert "PLANVAULT_EGRESS_ALLOW_PRIVATE" in faults["/egress/allowPrivate"]
    assert (await admin.get(url)).json()["egress"]["allowLoopback"] is False, "what is refused changes nothing"
    assert (await admin.put(url, json={"egress": {"allowHosts": ["a.example.com"]}})).status_code == 200


async def test_projects_have_settings_of_their_own(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    made = await admin.post(f"{tenant.admin}/projects", json={"name": "second"})
    assert made.status_code == 201
    assert (await admin.post(f"{tenant.admin}/projects", json={"name": "second"})).status_code == 409
    names = [item["name"] for item in (await admin.get(f"{tenant.admin}/projects")).json()["items"]]
    assert sorted(names) == ["a project", "second"]
    url = f"{tenant.admin}/projects/{made.json()['id']}"
    assert (await admin.get(url)).json() == made.json()
    limits = {"maxToolCalls": 5, "maxParallelCalls": 1}
    put = await admin.put(f"{url}/settings", json={"planApprovalMode": "auto", "limits": limits})
    assert put.json()["planApprovalMode"] == "auto"
    assert put.json()["limits"].items() >= limits.items()
    assert (await admin.get(f"{url}/settings")).json() == put.json()
    for wrong in (
        {"limits": {"maxToolCalls": 0}},
        {"limits": {"maxParallelCalls": 65}},
        {"retrievalMaxTools": 500},
        {"planApprovalMode": "never"},
    ):
        assert (await admin.put(f"{url}/settings", json=wrong)).status_code == 422


async def test_retrieval_is_set_for_an_organisation_and_a_project(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    project = f"{tenant.admin}/projects/{tenant.scope.project_id}"
    for url in (tenant.admin, project):
        body = {"retrieval": {"mode": "flat_rag", "maxTools": 12, "weights": {"usage": 0.25}}}
        put = await admin.put(f"{url}/settings", json=body)
        assert put.status_code == 200, put.text
        stored = put.json()["retrieval"]
        assert (stored["mode"], stored["maxTools"], stored["directMax"]) == ("flat_rag", 12, None)
        assert (stored["weights"]["usage"], stored["weights"]["dense"]) == (0.25, None)
        assert (await admin.get(f"{url}/settings")).json() == put.json()
    rows = "SELECT count(*) FROM audit_log WHERE org_id = $1 AND action = 'SETTINGS_CHANGED'"
    assert await deps.database.fetchval(rows, tenant.scope.org_id) == 2


@pytest.mark.parametrize(
    ("retrieval", "pointer"),
    [
        ({"mode": "best"}, "/retrieval/mode"),
        ({"maxTools": 201}, "/retrieval/maxTools"),
        ({"maxTools": "30"}, "/retrieval/maxTools"),
        ({"directMax": 50, "flatMax": 40}, "/retrieval/flatMax"),
        ({"centroidTopK": 0}, "/retrieval/centroidTopK"),
        ({"decayHalfLifeDays": 0}, "/retrieval/decayHalfLifeDays"),
        ({"decayHalfLifeDays": 1e-12}, "/retrieval/decayHalfLifeDays"),
        ({"weights": {"dense": -1}}, "/retrieval/weights/dense"),
        ({"rrfK": 60}, "/retrieval/rrfK"),
        (None, "/retrieval"),
    ],
)
async def test_a_faulty_retrieval_setting_is_refused_with_a_pointer(
    admin: httpx.AsyncClient, tenant: Tenant, retrieval: object, pointer: str
) -> None:
    for url in (tenant.admin, f"{tenant.admin}/projects/{tenant.scope.project_id}"):
        answer = await admin.put(f"{url}/settings", json={"retrieval": retrieval})
        assert answer.status_code == 422
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_key_works_until_it_is_rotated_or_revoked_and_its_text_is_shown_once(
    deps: ObservedDeps, admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.admin}/projects/{tenant.scope.project_id}/keys"
    made = (await admin.post(url, json={"name": "reader", "scopes": [access.SESSION_HISTORY_READ]})).json()

    async def status(text: str) -> int:
        # A key that this replica has not seen yet, so that its cache does not answer.
        found = await anonymous.get(f"{tenant.base}/sessions", headers={"Authorization": f"Bearer {text}"})
        return found.status_code

    listed = await admin.get(url)
    assert made["key"] not in listed.text
    assert {item["name"]: item["preview"] for item in listed.json()["items"]}["reader"] == made["key"][-4:]
    rotated = (await admin.post(f"{url}/{made['id']}/rotate")).json()
    assert await status(made["key"]) == 401
    assert await status(rotated["key"]) == 200
    assert (await admin.delete(f"{url}/{made['id']}")).status_code == 204
    assert (await admin.post(f"{url}/{made['id']}/rotate")).status_code == 404
    stored = await deps.database.fetchval("SELECT api_keys::text FROM api_keys WHERE id = $1", made["id"])
    assert rotated["key"] not in stored


async def test_a_key_repeated_with_its_idempotency_key_is_the_same_key(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.admin}/projects/{tenant.scope.project_id}/keys"
    body = {"name": "k", "scopes": ["hrn:project:*"]}
    answers = [await admin.post(url, json=body, headers={"Idempotency-Key": "key-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["key"].encode() not in await deps.database.fetchval(
        "SELECT answer FROM idempotency LIMIT 1"
    )
    count = "SELECT count(*) FROM api_keys WHERE name = 'k' AND project_id = $1"
    assert await deps.database.fetchval(count, tenant.scope.project_id) == 1


async def test_an_unknown_scope_is_refused_with_the_known_ones(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    url = f"{tenant.admin}/projects/{tenant.scope.project_id}/keys"
    answer = await admin.post(url, json={"name": "k", "scopes": ["hrn:project:everything"]})
    assert answer.status_code == 422
    assert access.SESSION_CREATE in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("level", ["organisation", "project"])
async def test_secrets_are_set_listed_by_name_and_deleted(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, session: Recorder, level: str
) -> None:
    url = f"{tenant.admin}/secrets" if level == "organisation" else (
        f"{tenant.admin}/projects/{tenant.scope.project_id}/secrets"
    )  # fmt: skip
    assert (await admin.put(url, json={"secrets": {"TOKEN": "canary"}})).status_code == 204
    listed = await admin.get(url)
    assert [item["name"] for item in listed.json()["items"]] == ["TOKEN"]
    assert "canary" not in listed.text
    assert await deps.secrets.value(session.scope, "TOKEN") == "canary"
    assert (await admin.delete(f"{url}/TOKEN")).status_code == 204
    assert (await admin.delete(f"{url}/TOKEN")).status_code == 404


async def test_a_key_used_again_with_another_name_in_the_query_is_refused(
    admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    headers = {"Content-Type": "application/yaml", "Idempotency-Key": "bare-document"}
    document = "openapi: 3.1.0\ninfo: {title: Task API, version: '1'}\npaths: {}\n"

    async def register(name: str) -> httpx.Response:
        return await admin.post(f"{tenant.admin}/tools", params={"name": name}, content=document, headers=headers)

    first, other, again = await register("one"), await register("two"), await register("one")
    assert first.status_code == 201
    assert other.status_code == 422
    assert other.json()["type"] == "urn:planvault:problem:IDEMPOTENCY_KEY_REUSED"
    assert again.json() == first.json()
