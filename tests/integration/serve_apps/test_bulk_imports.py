"""Bulk imports over the Admin API: documents come in as streams, once; lists come in pages; tenants stay apart."""

import hashlib
import json
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from serve_apps import document_upload
from tests.integration.ingestion.bulk import Folder, close_open_jobs, document
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant

pytestmark = pytest.mark.postgres

SHOP = json.dumps(document("list", "get")).encode()


@pytest.fixture
async def route(deps: ObservedDeps, tenant: Tenant) -> str:
    await close_open_jobs(deps.database)
    return f"{tenant.admin}/bulk-imports"


async def made(admin: httpx.AsyncClient, route: str, **body: object) -> str:
    answer = await admin.post(route, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def put(admin: httpx.AsyncClient, place: str, path: str, body: bytes) -> httpx.Response:
    return await admin.put(f"{place}/documents", params={"path": path}, content=body)


async def test_documents_lie_compressed_until_the_job_starts(
    admin: httpx.AsyncClient, deps: ObservedDeps, route: str
) -> None:
    place = f"{route}/{await made(admin, route, namePrefix='oad')}"
    answer = await put(admin, place, "a/shop.json", SHOP)
    assert answer.json()["sha256"] == hashlib.sha256(SHOP).hexdigest()
    assert (await put(admin, place, "a/shop.json", SHOP)).status_code == 200, "sent again is sent once"
    row = await deps.database.fetchrow("SELECT body, size FROM bulk_import_documents WHERE path = 'a/shop.json'")
    assert row is not None
    assert (zlib.decompress(row["body"]), row["size"]) == (SHOP, len(SHOP))
    started = await admin.post(f"{place}/start")
    assert (started.status_code, started.json()["status"], started.json()["documents"]["total"]) == (202, "queued", 1)
    assert (await admin.post(f"{place}/start")).status_code == 202, "started twice is started once"
    assert (await put(admin, place, "b.json", SHOP)).status_code == 409


async def test_a_large_document_is_read_piece_by_piece(admin: httpx.AsyncClient, route: str) -> None:
    place = f"{route}/{await made(admin, route)}"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 1024 * 1024  # beyond what any other route takes

    answer = await admin.put(f"{place}/documents", params={"path": "large.json"}, content=pieces())
    assert (answer.status_code, answer.json()["bytes"]) == (200, 30 * 1024 * 1024)


async def test_what_is_no_document_is_refused(
    admin: httpx.AsyncClient, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{route}/{await made(admin, route)}"
    assert (await put(admin, place, "empty.json", b"")).status_code == 422
    for path in ("/etc/passwd", "../x.json", "a//b.json", "a\\b.json", "a\nb.json", ""):
        assert (await put(admin, place, path, SHOP)).status_code == 422, path
    encoded = {"Content-Encoding": "gzip"}
    answer = await admin.put(f"{place}/documents", params={"path": "a.json"}, content=SHOP, headers=encoded)
    assert answer.status_code == 415
    monkeypatch.setattr(document_upload, "MAX_COMPRESSED", 1_000)
    noise = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(200))
    assert (await put(admin, place, "noise.json", noise)).status_code == 413
    assert (await admin.post(f"{place}/start")).status_code == 409, "a job without documents was started"
    assert (await admin.post(route, json={"namePrefix": "Not An Alias"})).status_code == 422


async def test_the_report_and_the_documents_come_in_pages(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, route: str
) -> None:
    folder = Folder(deps.database, tenant.scope)
    broken = {f"broken {number}.json": "{" for number in range(5)}
    job = await folder.run({**broken, "shop.json": document("list")})
    place = f"{route}/{job.id}"
    for name, count in (("report", 5), ("documents", 6)):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await admin.get(f"{place}/{name}", params={"limit": "2", **cursor})).json()
            seen += [entry["path"] for entry in page["items"]]
            if page["nextCursor"] is None:
                break
            cursor = {"cursor": page["nextCursor"]}
        assert seen == sorted({*broken, *(("shop.json",) if count == 6 else ())})
    refused = (await admin.get(f"{place}/documents", params={"status": "refused"})).json()["items"]
    assert len(refused) == 5
    assert (await admin.get(f"{place}/report", params={"cursor": "bm9uc2Vuc2U"})).status_code == 422
    shown = (await admin.get(place)).json()
    assert (shown["status"], shown["tools"], shown["documents"]["refused"]) == ("completed", 1, 5)


async def test_jobs_are_listed_newest_first_and_end_when_they_are_cancelled(
    admin: httpx.AsyncClient, route: str
) -> None:
    ids = [await made(admin, route) for _ in range(3)]
    first = (await admin.get(route, params={"limit": 2})).json()
    second = (await admin.get(route, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [job["id"] for job in first["items"] + second["items"]] == ids[::-1]
    place = f"{route}/{ids[0]}"
    await put(admin, place, "shop.json", SHOP)
    for _ in range(2):
        assert (await admin.post(f"{place}/cancel")).json()["status"] == "cancelled"
    assert (await admin.post(f"{place}/start")).status_code == 409


async def test_a_repeated_request_makes_one_job(admin: httpx.AsyncClient, route: str) -> None:
    answers = [await admin.post(route, json={}, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()


async def test_another_organisation_s_jobs_are_not_there(
    admin: httpx.AsyncClient, route: str, stranger: Tenant
) -> None:
    job_id = await made(admin, route)
    place = f"{stranger.admin}/bulk-imports/{job_id}"
    assert (await put(admin, place, "a.json", SHOP)).status_code == 404
    for method, path in (
        ("GET", ""),
        ("GET", "/report"),
        ("GET", "/documents"),
        ("POST", "/start"),
        ("POST", "/cancel"),
    ):
        assert (await admin.request(method, f"{place}{path}")).status_code == 404, path


async def test_integrations_come_in_pages_and_by_name(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, route: str
) -> None:
    await Folder(deps.database, tenant.scope).run({f"{name}.json": document(name) for name in "abc"}, prefix="p")
    first = (await admin.get(f"{tenant.admin}/tools", params={"limit": 2})).json()
    second = (await admin.get(f"{tenant.admin}/tools", params={"cursor": first["nextCursor"]})).json()
    names = [one["name"] for one in first["items"] + second["items"]]
    assert names == sorted(names)
    assert {"p-a", "p-b", "p-c"} <= set(names)
    [found] = (await admin.get(f"{tenant.admin}/tools", params={"name": "p-b"})).json()["items"]
    assert found["name"] == "p-b"
