"""Keys and tokens that somebody made who goes: named, flagged, and ended with them on request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from models.access import Maker, MakerKind, Role, User
from models.ids import UserId
from models.tenants import OrgScope
from planvault.auth.authenticator import Authenticator
from planvault.auth.keys import NewKey, digest
from planvault.errors import NotAuthenticated, NotFound
from planvault.storage.tenancy import within
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, client_for
from tests.integration.serve_apps.test_service_tokens import bearer, create
from tests.integration.serve_apps.test_staff_erasure import joined

pytestmark = pytest.mark.postgres
ALL = ["hrn:project:*"]
DAY = timedelta(days=1)


def keys_of(tenant: Tenant) -> str:
    return f"{tenant.admin}/projects/{tenant.scope.project_id}/keys"


async def made_by(deps: ObservedDeps, tenant: Tenant, token: dict[str, str], name: str = "of the token") -> Any:
    async with client_for(deps, bearer(token)) as service:
        answer = await service.post(keys_of(tenant), json={"name": name, "scopes": ALL})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def named(admin: httpx.AsyncClient, tenant: Tenant) -> dict[str, Any]:
    return {key["name"]: key for key in (await admin.get(keys_of(tenant))).json()["items"]}


async def test_revoking_a_service_token_names_its_keys_and_leaves_them_flagged(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    token = await create(admin, tenant)
    key = await made_by(deps, tenant, token)
    before = (await named(admin, tenant))["of the token"]
    assert (before["makerKind"], before["makerToken"], before["makerIsGone"]) == ("service", token["id"], False)
    left = (await admin.delete(f"{tenant.admin}/service-tokens/{token['id']}")).json()
    assert left["ended"] is False
    assert [(one["id"], one["oldTextOnly"]) for one in left["keys"]] == [(key["id"], False)]
    assert await deps.api_keys.find(digest(key["key"])) is not None
    listed = await named(admin, tenant)
    assert {name: one["makerIsGone"] for name, one in listed.items()} == {"of the token": True, "primary": False}


async def test_with_its_keys_nothing_that_a_service_token_made_opens_after_five_seconds(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    now = 0.0
    token = await create(admin, tenant)
    key = await made_by(deps, tenant, token)
    other = await admin.post(keys_of(tenant), json={"name": "somebody's", "scopes": ALL})
    replica = Authenticator(deps.api_keys, "", elapsed=lambda: now)
    await replica.authenticate(f"Bearer {key['key']}")
    path = f"{tenant.admin}/service-tokens/{token['id']}"
    left = (await admin.delete(path, params={"withKeys": "true"})).json()
    assert (left["ended"], [one["id"] for one in left["keys"]]) == (True, [key["id"]])
    now = 4.5
    with pytest.raises(NotAuthenticated):
        await replica.authenticate(f"Bearer {key['key']}")
    assert await deps.api_keys.find(digest(other.json()["key"])) is not None
    rows = (await admin.get(f"{tenant.admin}/audit", params={"action": "KEY_REVOKED"})).json()["items"]
    assert [(row["details"]["key"], row["details"]["madeBy"]) for row in rows] == [(key["id"], token["id"])]
    assert (await admin.delete(path, params={"withKeys": "true"})).json()["keys"] == []


async def test_a_token_that_a_replica_still_believes_in_makes_no_key_after_its_end(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    token = await create(admin, tenant)
    key = await made_by(deps, tenant, token)
    await admin.delete(f"{tenant.admin}/service-tokens/{token['id']}", params={"withKeys": "true"})
    async with client_for(deps, bearer(token)) as service:
        assert (await service.get(f"{tenant.admin}/projects")).status_code == 200, "for seconds it is believed"
        for path in ("", f"/{key['id']}/rotate"):
            answer = await service.post(f"{keys_of(tenant)}{path}", json={} if path else {"name": "x", "scopes": ALL})
            assert answer.status_code == 401
    assert "x" not in await named(admin, tenant)


class Mia:
    """A member, what she was shown, and her end."""

    def __init__(self, deps: ObservedDeps, tenant: Tenant, user: User) -> None:
        self.deps, self.tenant, self.id = deps, tenant, UserId(user.id)
        self.maker = Maker(kind=MakerKind.PERSON, user_id=self.id)
        self.scope = OrgScope(org_id=tenant.scope.org_id)

    async def key(self, name: str) -> tuple[UUID, NewKey]:
        made, text = await self.deps.api_keys.create(self.tenant.scope, name, ALL, maker=self.maker)
        return made.id, text

    async def token(self) -> tuple[UUID, NewKey]:
        async with within(self.deps.pool, self.scope) as connection:
            made, text = await self.deps.service_tokens.create(
                connection, self.scope, "hers", Role.ADMIN, DAY, by=Role.ADMIN, created_by="m", shown_to=self.id
            )
        return made.id, text

    async def removed(self, admin: httpx.AsyncClient, **asked: str) -> Any:
        answer = await admin.delete(f"{self.tenant.admin}/members/{self.id}", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def mia(deps: ObservedDeps, tenant: Tenant) -> Mia:
    return Mia(deps, tenant, await joined(deps, tenant.scope))


async def test_with_a_member_end_the_texts_that_they_were_shown_and_no_others(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, mia: Mia
) -> None:
    hers, text = await mia.key("hers")
    token, token_text = await mia.token()
    through = await made_by(deps, tenant, {"token": token_text.text}, "through her token")
    rotated, _ = await mia.key("rotated since")
    await admin.post(f"{keys_of(tenant)}/{rotated}/rotate")
    retiring, old_text = await mia.key("retiring")
    fresh = (await admin.post(f"{keys_of(tenant)}/{retiring}/rotate", json={"graceSeconds": 3_600})).json()["key"]
    left = await mia.removed(admin, withKeys="true")
    assert {(one["name"], one["oldTextOnly"]) for one in left["keys"]} == {
        ("hers", False),
        ("through her token", False),
        ("retiring", True),
    }
    assert [one["id"] for one in left["serviceTokens"]] == [str(token)]
    for ended in (text.sha256, digest(through["key"]), old_text.sha256):
        assert await deps.api_keys.find(ended) is None
    assert await deps.service_tokens.find(token_text.sha256) is None
    assert await deps.api_keys.find(digest(fresh)) is not None
    listed = await named(admin, tenant)
    assert {name for name, one in listed.items() if one["revokedAt"]} == {"hers", "through her token"}
    assert hers == UUID(listed["hers"]["id"])
    for action in ("KEY_REVOKED", "SERVICE_TOKEN_REVOKED"):
        rows = (await admin.get(f"{tenant.admin}/audit", params={"action": action})).json()["items"]
        assert {row["details"]["madeBy"] for row in rows} == {str(mia.id)}


async def test_a_member_who_goes_without_their_keys_leaves_them_named_and_flagged(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, mia: Mia
) -> None:
    _, text = await mia.key("hers")
    _, token_text = await mia.token()
    left = await mia.removed(admin)
    assert (left["ended"], len(left["keys"]), len(left["serviceTokens"])) == (False, 1, 1)
    assert await deps.api_keys.find(text.sha256) is not None
    assert await deps.service_tokens.find(token_text.sha256) is not None
    assert (await named(admin, tenant))["hers"]["makerIsGone"]
    [token] = (await admin.get(f"{tenant.admin}/service-tokens")).json()["items"]
    assert token["makerIsGone"]
    with pytest.raises(NotFound):
        await mia.key("after her end")
    with pytest.raises(NotFound):
        await mia.token()


async def test_keys_of_a_deleted_project_that_ended_with_their_maker_do_not_come_back_with_it(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, mia: Mia
) -> None:
    _, text = await mia.key("hers")
    await admin.delete(f"{tenant.admin}/projects/{tenant.scope.project_id}")
    assert len((await mia.removed(admin, withKeys="true"))["keys"]) == 1
    await admin.post(f"{tenant.admin}/deleted-projects/{tenant.scope.project_id}/restore")
    assert await deps.api_keys.find(tenant.key.sha256) is not None
    assert await deps.api_keys.find(text.sha256) is None


async def test_a_service_token_ends_no_service_tokens_by_removing_who_made_them(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, mia: Mia
) -> None:
    token = await create(admin, tenant)
    async with client_for(deps, bearer(token)) as service:
        answer = await service.delete(f"{tenant.admin}/members/{mia.id}", params={"withKeys": "true"})
        assert answer.status_code == 403
        assert (await service.delete(f"{tenant.admin}/members/{mia.id}")).status_code == 200
