"""Stored results over the API: their session's readers get them whole, and nobody gets half of one."""

import hashlib

import httpx
import pytest

from models.ids import RunId
from models.results import ResultPlace, Stored
from planvault.crypto.chunks import CHUNK_BYTES
from planvault.storage.blobs import Purpose
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant

BODY = b'{"items": [' + b"1," * (2 * CHUNK_BYTES) + b"1]}"


async def stored(
    deps: ObservedDeps,
    session: Recorder,
    *,
    kept: bool = True,
    purpose: Purpose = "result",
    media_type: str = "text/json",
) -> Stored:
    place = ResultPlace(scope=session.scope, run_id=RunId(deps.ids.new()))
    written = await deps.blobs.write(place, BODY, media_type, purpose)
    await deps.database.execute("UPDATE blobs SET kept = $2 WHERE id = $1", written.blob_id, kept)
    return written


async def test_a_result_comes_back_as_the_service_sent_it(
    client: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str
) -> None:
    blob = await stored(deps, session)
    answer = await client.get(f"{path}/blobs/{blob.blob_id}")
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["etag"] == f'"{hashlib.sha256(BODY).hexdigest()}"'


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml; charset=utf-8", "", "application/javascript"])
async def test_a_browser_never_takes_a_result_for_a_page(
    client: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str, media_type: str
) -> None:
    blob = await stored(deps, session, media_type=media_type)
    headers = (await client.get(f"{path}/blobs/{blob.blob_id}")).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-disposition"].startswith("attachment")


async def test_what_no_event_references_and_what_a_plan_derived_is_not_shown(
    client: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str
) -> None:
    for blob in (await stored(deps, session, kept=False), await stored(deps, session, purpose="fragment")):
        assert (await client.get(f"{path}/blobs/{blob.blob_id}")).status_code == 404


async def test_another_session_and_another_tenant_do_not_find_it(
    client: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, tenant: Tenant, stranger: Tenant
) -> None:
    blob = await stored(deps, session)
    other = (await client.post(f"{tenant.base}/sessions", json={})).json()["id"]
    assert (await client.get(f"{tenant.base}/sessions/{other}/blobs/{blob.blob_id}")).status_code == 404
    theirs = f"{stranger.base}/sessions/{session.scope.session_id}/blobs/{blob.blob_id}"
    assert (await client.get(theirs, headers=stranger.auth)).status_code == 404


async def test_a_result_that_does_not_open_is_an_error_and_not_a_body_that_breaks_off(
    client: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str
) -> None:
    blob = await stored(deps, session)
    await deps.database.execute("DELETE FROM blob_chunks WHERE blob_id = $1 AND position = 0", blob.blob_id)
    answer = await client.get(f"{path}/blobs/{blob.blob_id}")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:planvault:problem:DECRYPTION_FAILED"


@pytest.mark.parametrize(
    ("action", "pointer"),
    [
        ({"action": "fill_slots", "values": {"a": "x" * 300_000}}, "/values"),
        ({"action": "resolve", "resolution": "mark_done", "result": ["x" * 300_000]}, "/result"),
    ],
)
async def test_what_people_say_must_fit_into_the_record(
    client: httpx.AsyncClient, session: Recorder, path: str, action: dict[str, object], pointer: str
) -> None:
    answer = await client.post(f"{path}/actions", json=action)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
