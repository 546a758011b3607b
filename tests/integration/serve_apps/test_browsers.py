"""What answers tell browsers: safety headers, and who may read them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from pydantic import ValidationError

from planvault.settings import Settings
from serve_apps.api import create_app
from tests.integration.serve_apps.conftest import ObservedDeps

ORIGIN = "https://app.example.com"


@asynccontextmanager
async def set_to(deps: ObservedDeps, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    chosen = replace(deps, settings=deps.settings.model_copy(update=settings))
    transport = httpx.ASGITransport(create_app(chosen), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


async def test_below_https_browsers_never_come_without(deps: ObservedDeps) -> None:
    async with set_to(deps, public_url="https://plans.example.com") as client:
        for path in ("/health", "/nowhere", "/api-docs"):
            assert (await client.get(path)).headers["strict-transport-security"] == "max-age=31536000"
    async with set_to(deps, public_url="http://localhost:8080") as client:
        assert "strict-transport-security" not in (await client.get("/health")).headers


async def test_only_listed_origins_may_read_answers_and_none_with_credentials_of_the_browser(
    deps: ObservedDeps,
) -> None:
    async with set_to(deps, cors_origins=f"{ORIGIN}, http://localhost:5173") as client:
        listed = await client.get("/health", headers={"Origin": ORIGIN})
        assert listed.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in listed.headers["vary"].lower()
        for origin in ("https://evil.example", f"{ORIGIN}.evil.example", "null", "http://app.example.com"):
            other = await client.get("/health", headers={"Origin": origin})
            assert "access-control-allow-origin" not in other.headers, origin
            assert (await _preflight(client, origin)).status_code == 400
        assert "access-control-allow-credentials" not in listed.headers


async def test_a_star_lets_everybody_read_what_needs_a_key_anyway(deps: ObservedDeps) -> None:
    async with set_to(deps, cors_origins="*") as client:
        answer = await client.get("/health", headers={"Origin": ORIGIN, "Cookie": "a=b"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert (await _preflight(client, ORIGIN)).status_code == 200


async def test_an_empty_list_lets_no_other_origin_read(deps: ObservedDeps) -> None:
    async with set_to(deps, cors_origins="") as client:
        answer = await client.get("/health", headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in answer.headers


async def test_refusals_can_be_read_by_the_page_that_asked(deps: ObservedDeps) -> None:
    async with set_to(deps, cors_origins=ORIGIN) as client:
        for status, path, headers in (
            (401, "/api/v1/projects/x/sessions", {}),
            (415, "/api/v1/projects/x/sessions", {"Content-Encoding": "gzip"}),
            (431, "/health", {"X-Large": "x" * 20_000}),
        ):
            answer = await client.post(path, headers={"Origin": ORIGIN, **headers})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            exposed = answer.headers["access-control-expose-headers"]
            assert {"X-Request-Id", "Retry-After", "RateLimit"} <= {name.strip() for name in exposed.split(",")}


@pytest.mark.parametrize("origins", ["app.example.com", "https://app.example.com/", "*, https://a.example", "ftp://a"])
def test_an_origin_that_no_browser_sends_is_said_at_the_start(origins: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=origins)


async def _preflight(client: httpx.AsyncClient, origin: str) -> httpx.Response:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    return await client.options("/api/v1/projects/x/sessions", headers={"Origin": origin, **asked})
