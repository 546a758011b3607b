from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from models.access import Role
from models.ids import ServiceTokenId
from models.tenants import OrgScope
from planvault.auth.authenticator import Authenticator
from planvault.auth.keys import SERVICE_PREFIX, digest
from planvault.auth.principals import PrincipalKind
from planvault.errors import NotAllowed, NotAuthenticated
from planvault.storage import service_tokens as storage
from planvault.storage.tenancy import within
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, client_for

pytestmark = pytest.mark.postgres

DAY = timedelta(days=1)


async def create(admin: httpx.AsyncClient, tenant: Tenant, name: str = "ci", **body: object) -> dict[str, str]:
    asked = {"name": name, "role": "ADMIN", **body}
    answer = await admin.post(f"{tenant.admin}/service-tokens", json=asked)
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def bearer(made: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['token']}"}


async def test_a_service_token_works_in_its_organisation_with_its_role(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, stranger: Tenant
) -> None:
    made = await create(admin, tenant, role="DEVELOPER")
    assert made["token"].startswith(SERVICE_PREFIX)
    async with client_for(deps, bearer(made)) as service:
        assert (await service.get(f"{tenant.admin}/projects")).status_code == 200
        assert (await service.get(f"{tenant.admin}/audit")).status_code == 403
        assert (await service.get(f"{stranger.admin}/projects")).status_code == 404
        assert (await service.post(f"{tenant.base}/sessions", json={})).status_code == 201
        assert (await service.post(f"{stranger.base}/sessions", json={})).status_code == 404


async def test_its_text_is_shown_once_and_only_its_digest_is_stored(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    made = await create(admin, tenant)
    row = await deps.database.fetchrow(
        "SELECT service_tokens::text AS text, token_sha256 FROM service_tokens WHERE id = $1", UUID(made["id"])
    )
    assert row is not None
    assert row["token_sha256"] == digest(made["token"])
    assert made["token"] not in row["text"]
    listed = await admin.get(f"{tenant.admin}/service-tokens")
    one = await admin.get(f"{tenant.admin}/service-tokens/{made['id']}")
    audit = await admin.get(f"{tenant.admin}/audit")
    for answer in (listed, one, audit):
        assert made["token"] not in answer.text
    assert one.json() == listed.json()["items"][0]
    assert one.json()["preview"] == made["token"][-4:]
    assert one.json()["createdBy"] == "admin-token"


async def test_every_change_leaves_a_row_with_its_actor(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    made = await create(admin, tenant)
    path = f"{tenant.admin}/service-tokens/{made['id']}"
    await admin.post(f"{path}/rotate", json={"graceSeconds": 60})
    await admin.delete(path)
    rows = (await admin.get(f"{tenant.admin}/audit")).json()["items"]
    told = [(row["action"], row["details"]["token"], row["actor"]) for row in rows]
    assert told[:3] == [
        (f"SERVICE_TOKEN_{what}", made["id"], "admin-token") for what in ("REVOKED", "ROTATED", "CREATED")
    ]


async def test_rotation_opens_the_old_text_for_the_grace_period_only(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    made = await create(admin, tenant)
    path = f"{tenant.admin}/service-tokens/{made['id']}/rotate"
    second = (await admin.post(path, json={"graceSeconds": 3_600})).json()
    tokens = deps.service_tokens
    old, new = await tokens.find(digest(made["token"])), await tokens.find(digest(second["token"]))
    assert old is not None
    assert new is not None
    assert old.id == new.id
    assert old.ends_in_s <= 3_600 < new.ends_in_s
    third = (await admin.post(path)).json()
    assert await tokens.find(digest(made["token"])) is None, "at most two texts open at a time"
    assert await tokens.find(digest(second["token"])) is None, "no grace was asked for"
    assert await tokens.find(digest(third["token"])) is not None


async def test_revocation_is_for_good_and_for_both_texts(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    made = await create(admin, tenant)
    path = f"{tenant.admin}/service-tokens/{made['id']}"
    second = (await admin.post(f"{path}/rotate", json={"graceSeconds": 3_600})).json()
    assert (await admin.delete(path)).status_code == 200
    assert (await admin.delete(path)).status_code == 200
    for text in (made["token"], second["token"]):
        with pytest.raises(NotAuthenticated):
            await Authenticator(deps.api_keys, "", services=deps.service_tokens).authenticate(f"Bearer {text}")
    assert (await admin.post(f"{path}/rotate")).status_code == 404


async def test_a_replica_that_knows_the_token_refuses_it_within_five_seconds(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    now = 0.0
    made = await create(admin, tenant)
    door = Authenticator(deps.api_keys, "", services=deps.service_tokens, elapsed=lambda: now)
    principal = await door.authenticate(f"Bearer {made['token']}")
    assert principal.kind is PrincipalKind.SERVICE
    assert (principal.actor, principal.role) == ("service:ci", Role.ADMIN)
    await admin.delete(f"{tenant.admin}/service-tokens/{made['id']}")
    now = 4.5
    with pytest.raises(NotAuthenticated):
        await door.authenticate(f"Bearer {made['token']}")


async def test_it_ends_by_itself(admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant) -> None:
    made = await create(admin, tenant, expiresInDays=1)
    ends = datetime.fromisoformat(made["expiresAt"])
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= DAY
    await deps.database.execute("UPDATE service_tokens SET expires_at = now() WHERE id = $1", UUID(made["id"]))
    assert await deps.service_tokens.find(digest(made["token"])) is None
    again = await create(admin, tenant)
    assert again["id"] != made["id"], "an expired token's name is free"


async def test_tokens_are_made_by_people_up_to_their_own_role(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    assert (await admin.post(f"{tenant.admin}/service-tokens", json={"name": "x", "role": "OWNER"})).status_code == 403
    made = await create(admin, tenant)
    path = f"{tenant.admin}/service-tokens"
    async with client_for(deps, bearer(made)) as service:
        assert (await service.get(path)).status_code == 200
        assert (await service.post(path, json={"name": "child", "role": "MEMBER"})).status_code == 403
        assert (await service.post(f"{path}/{made['id']}/rotate")).status_code == 403
        assert (await service.delete(f"{path}/{made['id']}")).status_code == 403
    scope = OrgScope(org_id=tenant.scope.org_id)
    async with within(deps.pool, scope) as connection:
        with pytest.raises(NotAllowed):
            await deps.service_tokens.create(
                connection, scope, "y", Role.ADMIN, DAY, by=Role.DEVELOPER, created_by="someone"
            )
        with pytest.raises(NotAllowed):
            await deps.service_tokens.rotate(
                connection, scope, ServiceTokenId(UUID(made["id"])), DAY, by=Role.DEVELOPER
            )


async def test_a_name_is_one_live_tokens_and_there_are_only_so_many(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await create(admin, tenant)
    again = await admin.post(f"{tenant.admin}/service-tokens", json={"name": "ci", "role": "MEMBER"})
    assert again.status_code == 409
    monkeypatch.setattr(storage, "MOST_LIVE", 2)
    await create(admin, tenant, "second")
    full = await admin.post(f"{tenant.admin}/service-tokens", json={"name": "third", "role": "MEMBER"})
    assert (full.status_code, full.json()["type"]) == (409, "urn:planvault:problem:QUOTA_REACHED")
    await admin.delete(f"{tenant.admin}/service-tokens/{made['id']}")
    await create(admin, tenant, "ci")


@pytest.mark.parametrize(
    "body",
    [
        {"role": "ADMIN"},
        {"name": "x"},
        {"name": "x", "role": "KING"},
        {"name": "x", "role": "ADMIN", "expiresInDays": 0},
        {"name": "x", "role": "ADMIN", "expiresInDays": 367},
        {"name": "x", "role": "ADMIN", "expiresInDays": 1.5},
        {"name": "x\n", "role": "ADMIN", "scopes": []},
    ],
)
async def test_what_is_no_token_is_refused_with_its_faults(
    admin: httpx.AsyncClient, tenant: Tenant, body: dict[str, object]
) -> None:
    answer = await admin.post(f"{tenant.admin}/service-tokens", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_tokens_of_another_organisation_are_not_there(
    admin: httpx.AsyncClient, tenant: Tenant, stranger: Tenant, deps: ObservedDeps
) -> None:
    theirs = await create(admin, stranger)
    path = f"{tenant.admin}/service-tokens"
    assert (await admin.get(path)).json()["items"] == []
    assert (await admin.get(f"{path}/{theirs['id']}")).status_code == 404
    assert (await admin.post(f"{path}/{theirs['id']}/rotate")).status_code == 404
    assert (await admin.delete(f"{path}/{theirs['id']}")).status_code == 404
    assert await deps.service_tokens.find(digest(theirs["token"])) is not None


async def test_the_list_has_pages_newest_first(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    made = [(await create(admin, tenant, name))["id"] for name in ("a", "b", "c")]
    first = (await admin.get(f"{tenant.admin}/service-tokens", params={"limit": 2})).json()
    rest = (await admin.get(f"{tenant.admin}/service-tokens", params={"cursor": first["nextCursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["nextCursor"] is None


async def test_use_is_noted_at_most_once_a_minute(admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant) -> None:
    made = await create(admin, tenant)
    scope, token_id = OrgScope(org_id=tenant.scope.org_id), ServiceTokenId(UUID(made["id"]))
    await deps.service_tokens.find(digest(made["token"]))
    first = (await deps.service_tokens.get(scope, token_id)).last_used_at
    assert first is not None
    await deps.service_tokens.find(digest(made["token"]))
    assert (await deps.service_tokens.get(scope, token_id)).last_used_at == first
