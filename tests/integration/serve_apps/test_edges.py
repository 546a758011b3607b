"""What every answer carries, health, and the documents."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

from serve_apps.api import create_served_app
from serve_apps.middleware import proxy_middlewares
from serve_apps.schemas.health import PartHealth
from tests.integration.serve_apps.conftest import ObservedDeps, OneHotEmbedder, client_for, observed


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Request-Id": "abc-1.2_3~4"}, "abc-1.2_3~4"),
        ({"X-Correlation-ID": "corr-1"}, "corr-1"),
        ({"X-Request-Id": "first", "X-Correlation-ID": "second"}, "first"),
        ({"X-Request-Id": "not valid!", "X-Correlation-ID": "second"}, "second"),
        (
            {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        ({"X-Request-Id": "x" * 129}, None),
        ({"X-Request-Id": "evil\t"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/v1/projects/x/sessions"])
async def test_every_answer_carries_a_request_id(
    anonymous: httpx.AsyncClient, headers: dict[str, str], expected: str | None, path: str
) -> None:
    answer = await anonymous.get(path, headers=headers)
    given = answer.headers["x-request-id"]
    assert given == expected if expected else re.fullmatch(r"[0-9a-f-]{36}", given)


async def test_every_answer_carries_the_safety_headers(anonymous: httpx.AsyncClient) -> None:
    for path in ("/health", "/nowhere", "/api/openapi.json"):
        headers = (await anonymous.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


async def test_ready_means_every_part_and_the_answer_names_the_one_that_is_not(
    deps: ObservedDeps, anonymous: httpx.AsyncClient
) -> None:
    await deps.database.execute("DELETE FROM hosts")
    waiting = await anonymous.get("/health")
    assert waiting.status_code == 503
    assert (waiting.json()["live"], waiting.json()["ready"]) == (True, False)
    parts = waiting.json()["parts"]
    assert {name: part["ready"] for name, part in parts.items()} == {
        "database": True, "keyProviders": True, "sessionHosts": False, "sessionEvents": True,
        "embedder": True, "planner": True,
    }  # fmt: skip
    await deps.database.execute("INSERT INTO hosts (id, build_id, heartbeat_at) VALUES ('h', 'b', now())")
    ready = await anonymous.get("/health")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    await deps.database.execute("UPDATE hosts SET heartbeat_at = now() - interval '1 minute'")
    assert (await anonymous.get("/health")).status_code == 503
    await deps.database.execute("UPDATE hosts SET heartbeat_at = now(), draining = true")
    assert (await anonymous.get("/health")).status_code == 503


async def test_a_part_that_fails_or_hangs_is_not_ready_and_says_no_more_than_its_kind(
    deps: ObservedDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_apps.readiness.PROBE_S", 0.05)

    async def fails() -> PartHealth:
        raise ConnectionError("canary: postgres://user:password@host")

    async def hangs() -> PartHealth:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with client_for(replace(deps, probes={"one": fails, "two": hangs}), {}) as client:
        answer = await client.get("/health")
    assert answer.status_code == 503
    assert "canary" not in answer.text
    assert answer.json()["parts"]["one"] == {"ready": False, "needed": True, "detail": "ConnectionError"}
    assert "no answer" in answer.json()["parts"]["two"]["detail"]


async def test_the_api_page_needs_nothing_from_outside(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/api-docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        asset = await anonymous.get(link)
        assert asset.status_code == 200, link
        assert asset.content
    assert "/api/openapi.json" in (await anonymous.get("/api-docs/start.js")).text
    missing = await anonymous.get("/api-docs/../api.py")
    assert missing.status_code == 404


async def test_the_openapi_document_is_served(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/api/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"
    assert "/api/v1/projects/{projectId}/sessions" in answer.json()["paths"]


async def test_deadline_headers_are_stripped_and_one_request_id_goes_in_and_comes_out() -> None:
    """As Ray Serve's proxy needs it: what stands behind adds an id of its own to the answer."""
    seen: list[tuple[bytes, bytes]] = []
    sent: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        ids = [(name, value) for name, value in scope["headers"] if name == b"x-request-id"]
        await send({"type": "http.response.start", "status": 200, "headers": [*ids, *ids]})

    async def send(message: Any) -> None:
        sent.append(message)

    app = behind
    for middleware in proxy_middlewares():
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    headers = [
        (b"X-Request-Timeout-Seconds", b"1"),
        (b"x-request-disconnect-disabled", b"1"),
        (b"x-request-id", b"in:valid"),
        (b"x-correlation-id", b"mine"),
    ]
    await app({"type": "http", "path": "/", "headers": headers}, None, send)
    assert seen == [(b"x-correlation-id", b"mine"), (b"x-request-id", b"mine")]
    assert [value for name, value in sent[0]["headers"] if name == b"x-request-id"] == [b"mine"]


async def test_a_replica_opens_its_parts_when_it_starts_and_closes_them_when_it_stops(deps: ObservedDeps) -> None:
    app = create_served_app(deps.settings, lambda: observed(deps.settings, OneHotEmbedder(), {}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            assert (await client.get("/health")).json()["parts"]["database"]["ready"] is True
        opened: ObservedDeps = app.state.deps
    assert opened.feed.stopping
    assert opened.pool._closed


async def test_a_database_that_is_away_is_a_503_that_says_to_try_again(
    deps: ObservedDeps, client: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    monkeypatch.setattr(deps.sessions, "get", gone)
    answer = await client.get(path)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:planvault:problem:UNAVAILABLE"
    assert "middle of operation" not in answer.text


async def test_who_asks_for_health_at_the_same_time_gets_one_answer(deps: ObservedDeps) -> None:
    """Nobody is refused here, so it must cost little."""
    asked = 0

    async def part() -> PartHealth:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return PartHealth(ready=True)

    async with client_for(replace(deps, probes={"part": part}), {}) as client:
        answers = await asyncio.gather(*(client.get("/health") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert asked < 10
        before = asked
        await client.get("/health")
        assert asked == before + 1
