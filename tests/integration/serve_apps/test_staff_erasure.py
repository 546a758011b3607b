"""Erasure of a person of the staff: an employee who left, and nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from models.access import Asker, Invitation, Maker, MakerKind, Role, User
from models.tenants import OrgScope
from planvault.storage.pool import Connection
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.tenancy import within
from tests.integration.serve_apps.access.cast import make_world
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, client_for
from tests.integration.serve_apps.privacy import all_done, exported, searched, work
from tests.integration.serve_apps.test_scenarios import shop

__all__ = ["work"]

pytestmark = pytest.mark.postgres
MIA = "mia.hopper@example.com"
NAMES = (MIA, "Mia Hopper", "subject-of-mia")
AS_MIA = {"X-Operator-Id": MIA}


async def joined(deps: ObservedDeps, scope: OrgScope, role: Role = Role.ADMIN) -> User:
    """Invited, signed in, and accepted: a member as people become one."""

    async def told(_: Connection, __: Invitation) -> None: ...

    user = await deps.members.signed_in(
        "https://id.example.com", "subject-of-mia", email=MIA, email_verified=True, name="Mia Hopper"
    )
    org = OrgScope(org_id=scope.org_id)
    async with within(deps.pool, org) as connection:
        _, token = await deps.invitations.invite(
            org, MIA, role, Asker(role=Role.OWNER), "admin-token", told, connection
        )
    await deps.invitations.accept(token.text, user.id, MIA, told)
    return user


async def works(deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant) -> None:
    """Mia leaves her name wherever her work does."""
    await shop(deps, tenant)
    for path, body in (
        ("/invitations", {"email": "new@example.com"}),
        ("/service-tokens", {"name": "ci", "role": "MEMBER"}),
        ("/scenarios", {"name": "orders", "sampleQueries": ["my orders"], "tools": ["list_orders"]}),
        ("/projects", {"name": "of hers"}),
    ):
        answer = await admin.post(f"{tenant.admin}{path}", json=body, headers=AS_MIA | {"Idempotency-Key": "once"})
        assert answer.status_code == 201, answer.text


async def erase(admin: httpx.AsyncClient, tenant: Tenant, user_id: UUID) -> dict[str, Any]:
    answer = await admin.post(f"{tenant.admin}/gdpr/erasures", json={"target": "member", "userId": str(user_id)})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize("has_left", [False, True])
async def test_nothing_names_a_person_of_the_staff_after_their_erasure(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork, has_left: bool
) -> None:
    mia = await joined(deps, tenant.scope)
    await works(deps, admin, tenant)
    file, _ = await exported(admin, tenant, work, target="organization")
    assert MIA in file.read("members.json").decode()
    if has_left:
        assert (await admin.delete(f"{tenant.admin}/members/{mia.id}")).status_code == 200
    assert len((await searched(deps, tenant, NAMES)).found) >= 6, "the search finds what is there"
    made = await erase(admin, tenant, mia.id)
    assert made["subjects"] == [mia.id.hex]
    assert (await admin.get(f"{tenant.admin}/members/{mia.id}")).status_code == 404, "with the request"
    await all_done(work)
    after = await searched(deps, tenant, NAMES)
    assert (after.found, after.unopened) == ([], [])
    done = (await admin.get(f"{tenant.admin}/gdpr/erasures/{made['id']}")).json()
    assert (done["state"], done["error"]) == ("completed", None)
    assert done["counts"] | {"users": 1, "scenarios": 1, "service_tokens": 1, "invitations": 2} == done["counts"]
    [token] = (await admin.get(f"{tenant.admin}/service-tokens")).json()["items"]
    assert token["createdBy"] == "erased", "her token goes on: revoke it where it should not"
    assert len((await admin.get(f"{tenant.admin}/scenarios")).json()["items"]) == 1
    assert (await admin.get(f"{tenant.admin}/audit/verify")).json()["ok"]


async def test_what_an_erased_person_was_shown_stays_flagged(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    mia = await joined(deps, tenant.scope)
    org, hers = OrgScope(org_id=tenant.scope.org_id), Maker(kind=MakerKind.PERSON, user_id=mia.id)
    await deps.api_keys.create(tenant.scope, "hers", ["hrn:project:*"], maker=hers)
    async with within(deps.pool, org) as connection:
        token, _ = await deps.service_tokens.create(
            connection, org, "hers", Role.ADMIN, timedelta(1), by=Role.ADMIN, created_by="m", shown_to=mia.id
        )
    through = Maker(kind=MakerKind.SERVICE, token_id=token.id)
    await deps.api_keys.create(tenant.scope, "through her token", ["hrn:project:*"], maker=through)
    await erase(admin, tenant, mia.id)
    await all_done(work)
    assert await deps.database.fetchval("SELECT count(*) FROM users WHERE id = $1", mia.id) == 0
    [listed] = (await admin.get(f"{tenant.admin}/service-tokens")).json()["items"]
    assert listed["makerIsGone"]
    keys = (await admin.get(f"{tenant.admin}/projects/{tenant.scope.project_id}/keys")).json()["items"]
    flagged = {key["name"]: key["makerIsGone"] for key in keys}
    assert flagged == {"primary": False, "hers": True, "through her token": True}


async def test_whom_another_organisation_has_among_its_people_stays_theirs(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, stranger: Tenant, work: PrivacyWork
) -> None:
    mia = await joined(deps, tenant.scope)
    await joined(deps, stranger.scope)
    await erase(admin, tenant, mia.id)
    await all_done(work)
    kept = (await admin.get(f"{stranger.admin}/members/{mia.id}")).json()
    assert kept["email"] == MIA
    assert (await admin.get(f"{tenant.admin}/members/{mia.id}")).status_code == 404


async def test_nobody_erases_whom_their_organisation_never_had_nor_its_last_owner(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, stranger: Tenant
) -> None:
    mia = await joined(deps, stranger.scope, Role.OWNER)
    body = {"target": "member", "userId": str(mia.id)}
    assert (await admin.post(f"{tenant.admin}/gdpr/erasures", json=body)).status_code == 404
    last = await admin.post(f"{stranger.admin}/gdpr/erasures", json=body)
    assert (last.status_code, last.json()["type"].rsplit(":", 1)[-1]) == (409, "LAST_OWNER")
    for wrong in ({"target": "member"}, {"target": "external_user", "externalUserId": "x", "userId": str(mia.id)}):
        assert (await admin.post(f"{tenant.admin}/gdpr/erasures", json=wrong)).status_code == 422
    assert (await admin.post(f"{tenant.admin}/gdpr/exports", json=body)).status_code == 422


async def test_nobody_erases_a_member_above_themselves(deps: ObservedDeps) -> None:
    world = await make_world(deps)
    [owner] = await deps.database.fetch(
        "SELECT user_id FROM members WHERE org_id = $1 AND role = 'OWNER'", world.home.org_id
    )
    async with client_for(world.deps, world.cast["person admin"].headers) as http:
        body = {"target": "member", "userId": str(owner["user_id"])}
        refused = await http.post(f"/admin/v1/orgs/{world.home.org_id}/gdpr/erasures", json=body)
    assert refused.status_code == 403
