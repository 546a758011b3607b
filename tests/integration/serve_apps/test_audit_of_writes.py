"""Every write of the Admin API leaves a row in the audit log. The routes are the document's, so a new one fails here
until it is written down what it leaves, and called, and found to leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from models.access import Role
from models.audit import AuditAction as A
from tests.integration.serve_apps.access.cast import join
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant
from tests.integration.serve_apps.routes import Route, all_routes
from tests.integration.serve_apps.test_scenarios import ended_run, learn, shop

CANARY = "canary-7Qm2"
SPEC = {"openapi": "3.1.0", "info": {"title": CANARY, "version": "1"}, "paths": {}}
PERSON = {"target": "external_user", "externalUserId": CANARY}
SCENARIO = {"name": "orders", "sampleQueries": [f"my orders {CANARY}"], "tools": ["list_orders"]}


@dataclass(frozen=True)
class Step:
    """One call: what it leaves, and under which name later steps use the id that it answers."""

    route: str
    leaves: A
    body: Any = None
    uses: Mapping[str, str] = field(default_factory=dict)  # parameter of the path -> name of an id
    named: str = ""
    answer: str = "id"


KEY, TOOL, BULK = {"keyId": "key"}, {"toolId": "tool"}, {"importId": "bulk"}
LIFE = (
    Step("PUT /settings", A.SETTINGS_CHANGED, {}),
    Step("POST /projects", A.SETTINGS_CHANGED, {"name": "second"}, named="project"),
    Step("PATCH /projects/{projectId}", A.PROJECT_RENAMED, {"name": "renamed"}),
    Step("PUT /projects/{projectId}/settings", A.SETTINGS_CHANGED, {}),
    Step("POST /projects/{projectId}/keys", A.KEY_CREATED, {"name": "k", "scopes": ["hrn:project:*"]}, named="key"),
    Step("POST /projects/{projectId}/keys/{keyId}/rotate", A.KEY_ROTATED, uses=KEY),
    Step("DELETE /projects/{projectId}/keys/{keyId}", A.KEY_REVOKED, uses=KEY),
    Step("PUT /secrets", A.SECRETS_CHANGED, {"secrets": {"SOME_SECRET": CANARY}}),
    Step("DELETE /secrets/{name}", A.SECRETS_DELETED),
    Step("PUT /projects/{projectId}/secrets", A.SECRETS_CHANGED, {"secrets": {"SOME_SECRET": CANARY}}),
    Step("DELETE /projects/{projectId}/secrets/{name}", A.SECRETS_DELETED),
    Step(
        "POST /projects/{projectId}/scheduled-jobs",
        A.JOB_SCHEDULED,
        {"prompt": CANARY, "delaySeconds": 600},
        named="job",
    ),
    Step("POST /projects/{projectId}/scheduled-jobs/{jobId}/cancel", A.JOB_CANCELLED, uses={"jobId": "job"}),
    Step("POST /audit/keys", A.AUDIT_KEY_ROTATED),
    Step("POST /service-tokens", A.SERVICE_TOKEN_CREATED, {"name": "ci", "role": "MEMBER"}, named="token"),
    Step("POST /service-tokens/{tokenId}/rotate", A.SERVICE_TOKEN_ROTATED, uses={"tokenId": "token"}),
    Step("DELETE /service-tokens/{tokenId}", A.SERVICE_TOKEN_REVOKED, uses={"tokenId": "token"}),
    Step("POST /tools", A.INTEGRATION_REGISTERED, {"name": "api", "openApiSpec": SPEC}, named="tool", answer="toolId"),
    Step("PUT /tools/{toolId}", A.INTEGRATION_REPLACED, {"name": "api", "openApiSpec": SPEC}, uses=TOOL),
    Step("DELETE /tools/{toolId}", A.INTEGRATION_DELETED, uses=TOOL),
    Step("POST /bulk-imports", A.BULK_IMPORT_CREATED, {"namePrefix": "oad"}, named="bulk"),
    Step("PUT /bulk-imports/{importId}/documents", A.BULK_IMPORT_DOCUMENT_SENT, SPEC, uses=BULK),
    Step("POST /bulk-imports/{importId}/start", A.BULK_IMPORT_STARTED, uses=BULK),
    Step("POST /bulk-imports/{importId}/cancel", A.BULK_IMPORT_CANCELLED, uses=BULK),
    Step("POST /scenarios", A.SCENARIO_CREATED, SCENARIO, named="scenario"),
    Step("PUT /scenarios/{scenarioId}", A.SCENARIO_CHANGED, SCENARIO, uses={"scenarioId": "scenario"}),
    Step("DELETE /scenarios/{scenarioId}", A.SCENARIO_DELETED, uses={"scenarioId": "scenario"}),
    Step("PUT /routing-cache", A.SETTINGS_CHANGED, {"enabled": True}),
    Step(
        "POST /routing-cache/suggestions/{entryId}",
        A.SCENARIO_CREATED,
        {"name": "more orders", "sampleQueries": ["more"]},
        uses={"entryId": "entry"},
    ),
    Step("DELETE /routing-cache/{entryId}", A.ROUTING_CACHE_CLEARED, uses={"entryId": "other entry"}),
    Step("DELETE /routing-cache", A.ROUTING_CACHE_CLEARED),
    Step("POST /invitations", A.MEMBER_INVITED, {"email": "new@example.com"}, named="invitation"),
    Step("DELETE /invitations/{invitationId}", A.INVITATION_REVOKED, uses={"invitationId": "invitation"}),
    Step("PUT /members/{userId}", A.MEMBER_ROLE_CHANGED, {"role": "DEVELOPER"}, uses={"userId": "member"}),
    Step("DELETE /members/{userId}", A.MEMBER_REMOVED, uses={"userId": "member"}),
    Step("POST /gdpr/exports", A.GDPR_EXPORT_REQUESTED, PERSON, named="export"),
    Step("DELETE /gdpr/exports/{exportId}", A.GDPR_EXPORT_DELETED, uses={"exportId": "export"}),
    Step("POST /gdpr/erasures", A.GDPR_ERASURE_REQUESTED, PERSON, named="erasure"),
    Step("POST /gdpr/erasures/{erasureId}/cancel", A.GDPR_ERASURE_CANCELLED, uses={"erasureId": "erasure"}),
    Step("POST /dek/rotate", A.DATA_KEYS_ROTATED, {"reason": "quarterly"}),
    Step("DELETE /projects/{projectId}", A.PROJECT_DELETED),
    Step("POST /deleted-projects/{deletedId}/restore", A.PROJECT_RESTORED, uses={"deletedId": "project"}),
)


def writes() -> dict[str, Route]:
    return {
        f"{route.method} {route.own_path}": route for route in all_routes() if route.is_admin and route.method != "GET"
    }


def test_it_is_written_down_what_every_write_of_the_admin_api_leaves() -> None:
    assert sorted(writes()) == sorted(step.route for step in LIFE)


async def test_every_write_of_the_admin_api_leaves_its_row_and_no_value(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, session: Recorder
) -> None:
    ids = await _prepared(deps, tenant, admin, session)
    for step in LIFE:
        before = await _newest(admin, tenant)
        parameters = {"orgId": str(tenant.scope.org_id), "projectId": ids.get("project", "")}
        url = writes()[step.route].url(**parameters, **{name: ids[of] for name, of in step.uses.items()})
        headers = {"X-Operator-Id": "Ann"}
        answer = await admin.request(step.route.split(" ")[0], url, json=step.body, headers=headers)
        assert answer.is_success, f"{step.route}: {answer.status_code} {answer.text}"
        if step.named:
            ids[step.named] = answer.json()[step.answer]
        rows = (await admin.get(f"{tenant.admin}/audit", params={"limit": 20})).json()["items"]
        left = [row for row in rows if row["seq"] > before]
        assert step.leaves in {row["action"] for row in left}, f"{step.route} left {left}"
        assert all(row["actor"].startswith("Ann (") for row in left), f"{step.route}: {left}"
        assert CANARY not in str(left), f"{step.route} tells what it must not: {left}"
    assert (await admin.get(f"{tenant.admin}/audit/verify")).json()["ok"]


async def _newest(admin: httpx.AsyncClient, tenant: Tenant) -> int:
    rows = (await admin.get(f"{tenant.admin}/audit", params={"limit": 1})).json()["items"]
    return int(rows[0]["seq"]) if rows else 0


async def _prepared(deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, session: Recorder) -> dict[str, str]:
    """What cannot be made over the Admin API: a member, and entries of the routing cache."""
    await shop(deps, tenant)
    await ended_run(session, "show my orders", "list_orders")
    await ended_run(session, "mail it to the whole team, please", "send_mail")
    await learn(deps)
    first, second = (await admin.get(f"{tenant.admin}/routing-cache")).json()["items"]
    user = await deps.members.signed_in(
        "https://id.example.com", "s", email="m@example.com", email_verified=True, name=""
    )
    await join(deps, tenant.scope, user, Role.MEMBER)
    return {"entry": first["id"], "other entry": second["id"], "member": str(user.id)}
