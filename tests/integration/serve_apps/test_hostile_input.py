"""What a hostile or broken client sends is answered with a problem, never with a 5xx."""

import random
from typing import Any

import httpx
import orjson
import pytest

from serve_apps.api import SMALL_BODY_BYTES
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant
from tests.integration.serve_apps.routes import Route, guarded_routes

RAW_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "invalid UTF-8": b'{"message": "\xff\xfe"}',
    "a NUL byte": b'{"message": "a\x00b"}',
    "a NUL escape": b'{"message": "a\\u0000b", "contextVars": {"a": "\\u0000"}, "name": "\\u0000", "query": "\\u0000"}',
    "a lone surrogate": b'{"message": "\\ud800", "contextVars": {"\\ud800": 1}, "name": "\\udfff", "query": "\\ud800"}',
    "a surrogate as a field": b'{"\\ud800": 1}',
    "deep lists": b'{"contextVars": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"contextVars": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    "deep at the root": b"[" * 200_000,
    "a huge integer": b'{"contextVars": {"a": ' + b"9" * 400 + b"}}",
    "an endless integer": b'{"contextVars": {"a": ' + b"9" * 10_000 + b"}}",
    "NaN": b'{"contextVars": {"a": NaN}, "message": NaN}',
    "infinity": b'{"contextVars": {"a": 1e999}}',
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "a number": b"42",
    "wrong types": b'{"message": {"a": 1}, "contextVars": [], "tags": {}, "secrets": [], "action": 7, "values": "x", '
    b'"name": [], "query": [], "enabled": "yes", "status": 1, "openApiSpec": 7, "scopes": "all", "integrations": {}}',
    "a thousand unknown fields": orjson.dumps({f"field-{n}": n for n in range(1_000)}),
}
CONTENT_TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/yaml",
    "application/xml",
    "nonsense",
    "",
)


def check(answer: httpx.Response, where: str) -> None:
    assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", where
        orjson.loads(answer.content)


def target(route: Route, tenant: Tenant, session: Recorder) -> str:
    return route.url(
        projectId=str(tenant.scope.project_id),
        orgId=str(tenant.scope.org_id),
        sessionId=str(session.scope.session_id),
    )


@pytest.mark.parametrize("name", RAW_BODIES)
async def test_no_body_makes_a_server_error(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, session: Recorder, name: str
) -> None:
    for route in guarded_routes():
        if route.method not in {"POST", "PUT", "PATCH"}:
            continue
        answer = await (admin if route.is_admin else client).request(
            route.method,
            target(route, tenant, session),
            content=RAW_BODIES[name],
            headers={"Content-Type": "application/json"},
        )
        check(answer, f"{route.method} {route.path} with {name}")


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
async def test_no_content_type_makes_a_server_error(
    client: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    tenant: Tenant,
    session: Recorder,
    content_type: str,
) -> None:
    for route in guarded_routes():
        if route.method not in {"POST", "PUT", "PATCH"}:
            continue
        answer = await (admin if route.is_admin else client).request(
            route.method,
            target(route, tenant, session),
            content=orjson.dumps(route.body),
            headers={"Content-Type": content_type},
        )
        check(answer, f"{route.method} {route.path} as {content_type!r}")


@pytest.mark.parametrize("value", ["\x00", "%", "'", "\u2028", "x" * 5_000, "-1", "9" * 30, "null", "%ED%A0%80"])
async def test_no_query_makes_a_server_error(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, session: Recorder, value: str
) -> None:
    for route in guarded_routes():
        names = [item["name"] for item in route.operation.get("parameters", []) if item["in"] == "query"]
        if route.method != "GET" or not names or route.path.endswith("/chat"):
            continue
        known = admin if route.is_admin else client
        for name in names:
            answer = await known.get(target(route, tenant, session).partition("?")[0], params={name: value})
            check(answer, f"GET {route.path}?{name}={value!r}")


@pytest.mark.parametrize("seed", range(5))
async def test_random_json_makes_no_server_error(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, session: Recorder, seed: int
) -> None:
    """Values of every kind under the names that routes know."""
    chance = random.Random(seed)
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        2**63,
        1.5,
        "",
        " ",
        "x",
        "\x00",
        "\ud7ff",
        [],
        {},
        [{}],
        {"": ""},
        "é" * 300,
    ]
    for route in guarded_routes():
        if not isinstance(route.body, dict):
            continue
        for _ in range(4):
            body = dict(route.body)
            for field in [*body, "runId", "tags", "contextVars", "metadata", "settings", "limits", "reason", "result"]:
                if chance.random() < 0.5:
                    body[field] = chance.choice(values)
            answer = await (admin if route.is_admin else client).request(
                route.method, target(route, tenant, session), json=body
            )
            check(answer, f"{route.method} {route.path} {body!r}")


async def test_text_with_a_nul_is_refused_with_a_pointer_to_it(
    client: httpx.AsyncClient, tenant: Tenant, path: str
) -> None:
    answer = await client.post(f"{path}/messages", json={"message": "a\x00b"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/message"
    answer = await client.post(
        f"{tenant.base}/sessions", json={"contextVars": {"a": [{"b": "\x00"}]}, "tags": ["\x00"]}
    )
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/contextVars", "/tags/0"]


async def test_a_value_is_never_repeated_in_an_error(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.put(f"{path}/secrets", json={"secrets": {"A": {"b": "canary-value"}, "B": 12345}})
    assert answer.status_code == 422
    assert "canary-value" not in answer.text
    assert "12345" not in answer.text


async def test_a_body_above_the_limit_is_refused_by_length_and_by_count(client: httpx.AsyncClient, path: str) -> None:
    large = b'{"message": "' + b"x" * SMALL_BODY_BYTES + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    for content in (large, chunks()):
        answer = await client.post(f"{path}/messages", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:planvault:problem:PAYLOAD_TOO_LARGE"


async def test_an_import_may_be_larger_than_a_prompt(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    document = orjson.dumps({"openapi": "3.1.0", "x": "y" * (SMALL_BODY_BYTES + 1)}).decode()
    answer = await admin.post(f"{tenant.admin}/tools", json={"name": "large", "openApiSpec": document})
    assert answer.status_code == 201


async def test_a_bug_shows_nothing_but_the_request_id(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explode(*_: object) -> None:
        raise RuntimeError("canary-internal: password=hunter2")

    monkeypatch.setattr(type(deps.sessions), "page", explode)
    answer = await client.get(f"{tenant.base}/sessions", headers={"X-Request-Id": "find-me", "Origin": "http://app"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "find-me"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["instance"] == "find-me"
    assert "canary" not in answer.text


async def test_only_an_import_may_be_large_and_a_stranger_is_not_read_at_length(
    anonymous: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    large = b'{"name": "' + b"x" * SMALL_BODY_BYTES + b'"}'
    json = {"Content-Type": "application/json"}
    for method, url in (("PUT", "settings"), ("POST", "projects"), ("PUT", "secrets")):
        for caller in (anonymous, admin):
            answer = await caller.request(method, f"{tenant.admin}/{url}", content=large, headers=json)
            assert answer.status_code == 413, (method, url)
    unread = await anonymous.post(f"{tenant.admin}/tools", content=large, headers=json)
    assert unread.status_code == 401


@pytest.mark.parametrize("body", [b"[" * 100_000 + b"]" * 100_000, b"9" * 5_000])
async def test_a_body_that_no_parser_holds_is_malformed_and_the_document_says_so(
    client: httpx.AsyncClient, path: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"{path}/messages", content=b'{"message": ' + body + b"}", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:planvault:problem:MALFORMED_REQUEST"
    document = (await client.get("/api/openapi.json")).json()
    route = document["paths"]["/api/v1/projects/{projectId}/sessions/{sessionId}/messages"]["post"]
    assert "application/problem+json" in route["responses"]["400"]["content"]
