"""Bulk imports over the API at their edges: hostile paths, bodies, cursors and queries."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from models.bulk_imports import Finding
from planvault.storage import bulk_documents, bulk_imports
from planvault.storage.pool import transaction
from serve_apps.paging import encode
from tests.integration.ingestion.bulk import close_open_jobs
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant

pytestmark = pytest.mark.postgres
DOCUMENT = b'{"openapi": "3.1.0"}'


async def begun(admin: httpx.AsyncClient, tenant: Tenant) -> str:
    answer = await admin.post(f"{tenant.admin}/bulk-imports", json={})
    assert answer.status_code == 201, answer.text
    return f"{tenant.admin}/bulk-imports/{answer.json()['id']}"


async def put(admin: httpx.AsyncClient, job: str, path: str, body: Any = DOCUMENT, **headers: str) -> httpx.Response:
    return await admin.put(f"{job}/documents", params={"path": path}, content=body, headers=headers)


async def pages(admin: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    """All of a list, one entry a page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(20):
        answer = await admin.get(url, params={"limit": 1, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["nextCursor"]
        if cursor is None:
            return found
    raise AssertionError("the list has no end")


async def test_every_path_that_is_taken_can_be_paged_over(
    admin: httpx.AsyncClient, tenant: Tenant, deps: ObservedDeps
) -> None:
    await close_open_jobs(deps.database)
    job = await begun(admin, tenant)
    paths = sorted(["Ä/" + "x" * 498, "路" * 500, "🚀" * 500, "a.json", "A.json", "%2e%2e/c.json", "... .json"])
    for path in paths:
        assert (await put(admin, job, path)).status_code == 200, path
    assert sorted(one["path"] for one in await pages(admin, f"{job}/documents")) == paths
    await admin.post(f"{job}/start")
    claim = await bulk_imports.claim_job(deps.database, 60.0)
    assert claim is not None
    assert job.endswith(str(claim.id))
    lines = [Finding(path=path, position=1, operation="GET /", outcome="skipped", problems=("odd",)) for path in paths]
    async with transaction(deps.database) as connection:
        await bulk_documents.add_findings(connection, claim, lines)
    assert sorted(one["path"] for one in await pages(admin, f"{job}/report")) == paths


@pytest.mark.parametrize("path", ["a/../b.json", "./a.json", "a/", "a\x00b", "a\x7fb", "x" * 501])
async def test_a_path_that_is_none_is_refused(admin: httpx.AsyncClient, tenant: Tenant, path: str) -> None:
    answer = await put(admin, await begun(admin, tenant), path)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("position", ["", "a.json", ":a.json", "-1:a", "1099511627776:a", "٣:a", "1 :a", "1:\x00"])
async def test_a_cursor_that_the_report_did_not_make_is_refused(
    admin: httpx.AsyncClient, tenant: Tenant, position: str
) -> None:
    job = await begun(admin, tenant)
    answer = await admin.get(f"{job}/report", params={"cursor": encode(position)})
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("list_of", "query"),
    [
        ("documents", {"cursor": encode("\x00")}),
        ("report", {"path": "\x00"}),
        ("report", {"cursor": "=="}),
        ("documents", {"cursor": "é"}),
    ],
)
async def test_a_query_that_the_database_cannot_hold_is_refused(
    admin: httpx.AsyncClient, tenant: Tenant, list_of: str, query: dict[str, str]
) -> None:
    answer = await admin.get(f"{await begun(admin, tenant)}/{list_of}", params=query)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("query", [{"cursor": encode("\x00")}, {"name": "\x00"}])
async def test_a_nul_in_the_query_of_the_catalog_is_refused(
    admin: httpx.AsyncClient, tenant: Tenant, query: dict[str, str]
) -> None:
    assert (await admin.get(f"{tenant.admin}/tools", params=query)).status_code == 422


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "x"])
async def test_an_encoded_body_is_refused(admin: httpx.AsyncClient, tenant: Tenant, encoding: str) -> None:
    answer = await put(admin, await begun(admin, tenant), "a.json", **{"Content-Encoding": encoding})
    assert answer.status_code == 415, answer.text


async def test_a_body_of_unknown_length_ends_at_the_limit(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    job = await begun(admin, tenant)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1024 * 1024

    assert (await put(admin, job, "a.json", endless())).status_code == 413
    assert (await admin.get(f"{job}/documents")).json()["items"] == []
