"""Exports over the API: what a person left is given out whole, and goes with them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import httpx
import pytest

from models.privacy import RequestKind
from planvault.storage.privacy_work import PrivacyWork
from tests.integration.serve_apps.conftest import (
    ObservedDeps,
    Tenant,
    open_session,
)
from tests.integration.serve_apps.privacy import (
    ADA,
    TEXTS,
    all_done,
    erase,
    exported,
    leaves_everything,
    searched,
    work,
)

__all__ = ["work"]

pytestmark = pytest.mark.postgres


async def test_an_export_holds_everything_that_was_left_and_describes_itself(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    left = await leaves_everything(deps, client, tenant)
    stranger = await open_session(deps, client, tenant, externalUserId="grace", contextVars={"likes": "compilers"})
    file, _ = await exported(admin, tenant, work, target="external_user", externalUserId=ADA)
    whole = b"".join(file.read(name) for name in file.namelist()).decode("utf-8", "replace")
    for text in TEXTS:
        assert text in whole
    assert "compilers" not in whole
    assert str(stranger.scope.session_id) not in whole
    assert "a-secret-of-theirs" not in whole
    manifest = json.loads(file.read("manifest.json"))
    assert manifest["externalUserId"] == ADA
    assert set(manifest["files"]) == set(file.namelist()) - {"manifest.json"}
    for name, described in manifest["files"].items():
        assert hashlib.sha256(file.read(name)).hexdigest() == described["sha256"]
        if name.endswith(".json"):
            json.loads(file.read(name))
    folder = f"sessions/{left.session.scope.session_id}"
    [blob] = [name for name in file.namelist() if name.startswith(f"{folder}/blobs/")]
    assert file.read(blob) == left.blob
    assert [each["visibility"] for each in json.loads(file.read(f"{folder}/events.json"))] == ["history"] * 2 + [
        "engine"
    ]
    assert json.loads(file.read("scheduled_jobs.json"))[0]["payload"]["prompt"] == TEXTS[4]


async def test_the_export_of_somebody_never_seen_is_whole_and_empty(
    admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    file, told = await exported(admin, tenant, work, target="external_user", externalUserId="nobody")
    assert told["counts"] == {}
    assert json.loads(file.read("scheduled_jobs.json")) == []
    made = await erase(admin, tenant, target="external_user", externalUserId="nobody")
    await all_done(work)
    assert (await admin.get(f"{tenant.admin}/gdpr/erasures/{made['id']}")).json()["state"] == "completed"


async def test_exports_of_a_project_and_of_the_organisation_hold_what_is_theirs_and_no_credentials(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    secrets = {"secrets": {"API": "hunter2-of-the-organisation"}}
    assert (await admin.put(f"{tenant.admin}/secrets", json=secrets)).status_code == 204
    key = await deps.database.fetchval("SELECT key_sha256 FROM api_keys WHERE org_id = $1", tenant.scope.org_id)
    for body in ({"target": "project", "projectId": str(tenant.scope.project_id)}, {"target": "organization"}):
        file, told = await exported(admin, tenant, work, **body)
        whole = b"".join(file.read(name) for name in file.namelist()).decode("utf-8", "replace")
        for text in TEXTS:
            assert text in whole
        for credential in ("hunter2-of-the-organisation", "a-secret-of-theirs", base64.b64encode(key).decode()):
            assert credential not in whole
        assert told["counts"]["sessions"] == 1
        assert told["counts"]["audit_log"] >= 1


async def test_an_erasure_takes_the_persons_exports_along(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    _, told = await exported(admin, tenant, work, target="external_user", externalUserId=ADA)
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    assert (await admin.get(f"{tenant.admin}/gdpr/exports/{told['id']}/file")).status_code == 404
    assert (await searched(deps, tenant)).found == []
    assert (
        await deps.database.fetchval(
            "SELECT count(*) FROM privacy_export_chunks WHERE org_id = $1", tenant.scope.org_id
        )
        == 0
    )


async def test_an_export_that_waits_is_cancelled_by_an_erasure_and_its_identifier_goes(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    body = {"target": "external_user", "externalUserId": ADA}
    export = (await admin.post(f"{tenant.admin}/gdpr/exports", json=body)).json()
    await erase(admin, tenant, **body)
    while await work.once(RequestKind.ERASURE, timedelta()):
        pass
    assert (await admin.get(f"{tenant.admin}/gdpr/exports/{export['id']}")).json()["state"] == "cancelled"
    assert (await searched(deps, tenant)).found == []
