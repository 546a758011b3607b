"""A deleted project: a week in which it can be restored, and then what it held goes by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from actors.privacy_worker import privacy_work, project_ends
from planvault.storage.pool import Role, open_pool
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.project_ends import ProjectEnds
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, make_tenant
from tests.integration.serve_apps.privacy import AT_ONCE, all_done, leaves_everything, searched

pytestmark = pytest.mark.postgres


@pytest.fixture
async def workers(deps: ObservedDeps) -> AsyncIterator[tuple[ProjectEnds, PrivacyWork]]:
    url = deps.settings.platform_url
    async with (
        await open_pool(url, name="privacy", maximum=3, role=Role.PLATFORM) as pool,
        await open_pool(url, name="keys", maximum=1, role=Role.PLATFORM) as keys,
    ):
        yield project_ends(deps.settings, pool, keys), privacy_work(deps.settings, pool, keys, None, AT_ONCE)


def project_of(tenant: Tenant) -> str:
    return f"{tenant.admin}/projects/{tenant.scope.project_id}"


def restoring(tenant: Tenant) -> str:
    return f"{tenant.admin}/deleted-projects/{tenant.scope.project_id}/restore"


async def is_due(deps: ObservedDeps, tenant: Tenant) -> None:
    await deps.database.execute("UPDATE projects SET purge_after = now() WHERE id = $1", tenant.scope.project_id)


async def test_what_a_deleted_project_held_goes_by_itself_after_a_week(
    deps: ObservedDeps,
    client: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    tenant: Tenant,
    workers: tuple[ProjectEnds, PrivacyWork],
) -> None:
    ends, work = workers
    await leaves_everything(deps, client, tenant)
    assert (await admin.delete(project_of(tenant))).status_code == 204
    [deleted] = (await admin.get(f"{tenant.admin}/deleted-projects")).json()["items"]
    week = datetime.fromisoformat(deleted["purgeAfter"]) - datetime.fromisoformat(deleted["deletedAt"])
    assert week == timedelta(days=7)
    assert not await ends.once(), "its week is not over"
    assert (await searched(deps, tenant)).found
    await is_due(deps, tenant)
    assert await ends.once()
    assert not await ends.once(), "one erasure is enough"
    assert (await admin.post(restoring(tenant))).status_code == 409, "its time is over"
    await all_done(work)
    assert (await searched(deps, tenant)).found == []
    [erasure] = (await admin.get(f"{tenant.admin}/gdpr/erasures")).json()["items"]
    assert (erasure["state"], erasure["counts"]["projects"]) == ("completed", 1)
    assert not await ends.once()
    rows = (await admin.get(f"{tenant.admin}/audit", params={"action": "GDPR_ERASURE_REQUESTED"})).json()["items"]
    assert [row["actor"] for row in rows] == ["platform"]


async def test_within_the_week_it_is_restored_with_its_history_and_the_keys_that_ended_with_it(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    left = await leaves_everything(deps, client, tenant)
    made, before = await deps.api_keys.create(tenant.scope, "revoked before", ["hrn:project:*"])
    await deps.api_keys.revoke(tenant.scope, made.id)
    name = (await admin.get(project_of(tenant))).json()["name"]
    assert (await admin.delete(project_of(tenant))).status_code == 204
    assert await deps.api_keys.find(tenant.key.sha256) is None
    back = await admin.post(restoring(tenant))
    assert back.status_code == 200, back.text
    assert back.json()["name"] == name
    assert await deps.api_keys.find(tenant.key.sha256) is not None
    assert await deps.api_keys.find(before.sha256) is None, "who revoked it before meant it"
    session = await deps.sessions.get(left.session.scope)
    assert session.status == "closed"
    assert (await admin.get(f"{tenant.admin}/deleted-projects")).json()["items"] == []
    assert (await admin.post(restoring(tenant))).status_code == 404


async def test_a_name_that_is_taken_meanwhile_needs_another(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    name = (await admin.get(project_of(tenant))).json()["name"]
    await admin.delete(project_of(tenant))
    assert (await admin.post(f"{tenant.admin}/projects", json={"name": name})).status_code == 201
    assert (await admin.post(restoring(tenant))).status_code == 409
    assert (await admin.post(restoring(tenant), json={"name": "the first one"})).json()["name"] == "the first one"


async def test_an_erasure_that_was_asked_for_is_not_undone_by_a_restoration(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, workers: tuple[ProjectEnds, PrivacyWork]
) -> None:
    await admin.delete(project_of(tenant))
    body = {"target": "project", "projectId": str(tenant.scope.project_id)}
    erasure = (await admin.post(f"{tenant.admin}/gdpr/erasures", json=body)).json()
    refused = await admin.post(restoring(tenant))
    assert refused.status_code == 409
    assert "erasure" in refused.json()["detail"]
    await is_due(deps, tenant)
    assert not await workers[0].once(), "there is one"
    assert (await admin.post(f"{tenant.admin}/gdpr/erasures/{erasure['id']}/cancel")).status_code == 200
    assert await workers[0].once()


async def test_another_organisations_deleted_project_is_not_there(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    stranger = await make_tenant(deps)
    await admin.delete(project_of(stranger))
    path = f"{tenant.admin}/deleted-projects/{stranger.scope.project_id}/restore"
    assert (await admin.post(path)).status_code == 404
    assert (await admin.get(f"{tenant.admin}/deleted-projects")).json()["items"] == []
