"""Erasures among damaged rows, files that were made before, and addresses in other spellings."""

from __future__ import annotations

import httpx
import pytest

from models.runs import RunStatus
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.tenancy import scoped
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, open_session
from tests.integration.serve_apps.privacy import ADA, all_done, erase, exported, leaves_everything, work

pytestmark = pytest.mark.postgres
__all__ = ["work"]


async def state_of(admin: httpx.AsyncClient, tenant: Tenant, request_id: str) -> str:
    return str((await admin.get(f"{tenant.admin}/gdpr/erasures/{request_id}")).json()["state"])


async def test_a_row_of_the_audit_log_that_does_not_open_holds_no_erasure_up(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    await admin.put(f"{tenant.admin}/secrets", json={"secrets": {"A": "a-value-of-theirs"}})
    damaged = await deps.database.fetchval(
        "SELECT id FROM audit_log WHERE org_id = $1 AND session_id IS NULL LIMIT 1", tenant.scope.org_id
    )
    assert damaged is not None
    await scoped(deps.database, tenant.scope).execute(
        "SELECT audit_log_reseal($1, ARRAY[$2::uuid], ARRAY[decode(repeat('01', 100), 'hex')])",
        *(tenant.scope.org_id, damaged),
    )
    made = await erase(admin, tenant, target="external_user", externalUserId=ADA)
    for _ in range(60):
        await all_done(work)
    assert await state_of(admin, tenant, made["id"]) == "completed"


async def test_a_project_s_erasure_takes_the_exports_of_people_who_were_in_it_along(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    _, told = await exported(admin, tenant, work, target="external_user", externalUserId=ADA)
    made = await erase(admin, tenant, target="project", projectId=str(tenant.scope.project_id))
    await all_done(work)
    assert await state_of(admin, tenant, made["id"]) == "completed"
    file = await admin.get(f"{tenant.admin}/gdpr/exports/{told['id']}/file")
    assert file.status_code == 404


async def test_an_answer_is_found_by_the_session_s_id_however_the_caller_spelled_it(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    session = await open_session(deps, client, tenant, externalUserId=ADA)
    path = f"{tenant.base}/sessions/{str(session.scope.session_id).upper()}/messages"
    sent = await client.post(path, json={"message": "hello"}, headers={"Idempotency-Key": "say"})
    assert sent.status_code == 202, sent.text
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    kept = "SELECT route FROM idempotency WHERE org_id = $1"
    assert [row["route"] for row in await deps.database.fetch(kept, tenant.scope.org_id)] == []


async def test_the_person_s_votes_on_other_people_s_runs_go_too(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    grace = await open_session(deps, client, tenant, externalUserId="grace")
    run_id = await grace.run(RunStatus.COMPLETED)
    path = f"{tenant.base}/sessions/{grace.scope.session_id}/feedback"
    for who in (ADA, "grace"):
        vote = {"runId": str(run_id), "value": "like"}
        assert (await client.post(path, json=vote, headers={"X-Operator-Id": who})).status_code == 200
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    votes = "SELECT count(*) FROM feedback WHERE run_id = $1"
    assert await deps.database.fetchval(votes, run_id) == 1
