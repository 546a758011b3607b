"""The operators' API on its own port, over real HTTP."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from models.ids import OrgId
from models.tenants import OrgScope
from planvault.auth.keys import digest
from planvault.crypto.providers import KeyProviders
from planvault.crypto.vault import VaultKeyWrapper, VaultToken
from planvault.errors import BringUpFailed, Unavailable
from planvault.settings import Settings
from serve_apps.superadmin.app import create_superadmin
from serve_apps.superadmin.parts import Platform, open_platform
from serve_apps.superadmin.policy import POLICY
from serve_apps.superadmin.serving import superadmin
from tests.integration.auth.issuer import AUDIENCE, Issuer, serving
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, OneHotEmbedder, Tenant, client_for, observed

pytestmark = pytest.mark.postgres
ORGS = "/superadmin/v1/orgs"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
        return found


@asynccontextmanager
async def calling(url: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers=bearer(token), trust_env=False) as client:
        yield client


@pytest.fixture
async def operator(deps: ObservedDeps, settings: Settings, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks for the static admin token."""
    open_port = settings.model_copy(update={"superadmin_port": port})
    async with superadmin(open_port, deps), calling(f"http://127.0.0.1:{port}", ADMIN.text) as client:
        yield client


async def test_a_new_organisation_has_its_tools_and_waits_for_its_owner(
    operator: httpx.AsyncClient, deps: ObservedDeps, admin: httpx.AsyncClient
) -> None:
    answer = await operator.post(ORGS, json={"name": "Acme", "ownerEmail": "Mia@Acme.example"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["invitation"]["email"] == "mia@acme.example"
    assert made["invitation"]["role"] == "OWNER"
    assert made["invitation"]["token"]
    found = made["organization"]
    assert (found["name"], found["owners"], found["deletedAt"]) == ("Acme", 0, None)
    place = f"/admin/v1/orgs/{found['id']}"
    tools = (await admin.get(f"{place}/tools")).json()["items"]
    assert [tool["name"] for tool in tools] == ["native"]
    log = (await admin.get(f"{place}/audit")).json()["items"]
    assert [row["action"] for row in log] == ["MEMBER_INVITED", "ORGANIZATION_CREATED"]
    assert made["invitation"]["token"] not in (await admin.get(f"{place}/audit")).text


async def test_an_invited_owner_signs_in_and_takes_over(issuer_deps: ObservedDeps, issuer: Issuer) -> None:
    async with operators_of(issuer_deps, issuer.token(sub="root", email=None, roles=["planvault-operator"])) as boss:
        made = (await boss.post(ORGS, json={"name": "Acme", "ownerEmail": "mia@acme.example"})).json()
        place = f"{ORGS}/{made['organization']['id']}"
        async with client_for(issuer_deps, bearer(issuer.token())) as mia:
            taken = await mia.post("/api/v1/account/invitations", json={"token": made["invitation"]["token"]})
            assert taken.is_success, taken.text
            assert (await mia.get(f"/admin/v1/orgs/{made['organization']['id']}/members")).status_code == 200
        assert (await boss.get(place)).json()["owners"] == 1
        again = await boss.post(f"{place}/owner-invitation", json={"email": "root@acme.example"})
        assert again.status_code == 409, "who runs the installation gets into no organisation that has an OWNER"
    async with client_for(issuer_deps, bearer(issuer.token(sub="root", roles=["planvault-operator"]))) as boss:
        assert (await boss.get(f"/admin/v1/orgs/{made['organization']['id']}/members")).status_code == 404


async def test_only_operators_are_let_in(
    issuer_deps: ObservedDeps, issuer: Issuer, operator: httpx.AsyncClient, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    service = (await admin.post(f"{tenant.admin}/service-tokens", json={"name": "ci", "role": "ADMIN"})).json()
    refused = {
        None: 401,
        "Bearer nonsense": 401,
        f"Bearer {tenant.key.text}": 403,
        f"Bearer {service['token']}": 403,
    }
    for rule in POLICY:
        path = rule.path.replace("{organizationId}", str(tenant.scope.org_id))
        for authorization, status in refused.items():
            headers = {} if authorization is None else {"Authorization": authorization}
            async with httpx.AsyncClient(base_url=operator.base_url, headers=headers, trust_env=False) as client:
                assert (await client.request(rule.method, path, json={})).status_code == status, rule
        for token in (issuer.token(), issuer.token(roles=["planvault-operators"]), issuer.token(roles="operator")):
            async with operators_of(issuer_deps, token) as person:
                assert (await person.request(rule.method, path, json={})).status_code == 403, rule


async def test_organisations_are_listed_page_by_page(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    made = [(await operator.post(ORGS, json={"name": f"org {n}"})).json()["organization"]["id"] for n in range(3)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await operator.get(ORGS, params={"limit": "2", **cursor})).json()
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert [each for each in seen if each in made] == made
    assert str(tenant.scope.org_id) in seen
    one = (await operator.get(f"{ORGS}/{tenant.scope.org_id}")).json()
    assert (one["projects"], one["members"]) == (1, 0)
    assert (await operator.get(f"{ORGS}/{UUID(int=7)}")).status_code == 404


async def test_a_deleted_organisation_lets_nobody_in_until_it_is_restored(
    operator: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    place = f"{ORGS}/{tenant.scope.org_id}"
    service = (await admin.post(f"{tenant.admin}/service-tokens", json={"name": "ci", "role": "ADMIN"})).json()
    assert (await operator.delete(place)).status_code == 422
    assert (await operator.delete(place, params={"confirm": "another"})).status_code == 409
    gone = await operator.delete(place, params={"confirm": "an organisation"})
    assert gone.status_code == 202, gone.text
    assert gone.json()["purgeAfter"]
    assert await deps.api_keys.find(tenant.key.sha256) is None
    assert await deps.service_tokens.find(digest(service["token"])) is None
    assert not await deps.members.organization_exists(tenant.scope.org_id)
    assert (await operator.get(place)).json()["deletedAt"]
    assert (await operator.post(f"{place}/owner-invitation", json={"email": "a@b.example"})).status_code == 409
    restored = await operator.post(f"{place}/restore")
    assert restored.status_code == 200, restored.text
    assert restored.json()["deletedAt"] is None
    assert await deps.api_keys.find(tenant.key.sha256) is not None
    assert (await operator.post(f"{place}/restore")).status_code == 409
    log = (await admin.get(f"{tenant.admin}/audit")).json()["items"]
    assert [row["action"] for row in log][:2] == ["ORGANIZATION_RESTORED", "ORGANIZATION_DELETED"]


async def test_operators_set_how_many_keys_a_project_may_have(
    operator: httpx.AsyncClient, tenant: Tenant, admin: httpx.AsyncClient
) -> None:
    place = f"{ORGS}/{tenant.scope.org_id}"
    assert (await operator.get(place)).json()["keysPerProject"] == 50
    held = await operator.get(ORGS)
    assert {item["keysPerProject"] for item in held.json()["items"]} == {50}
    keys = f"{tenant.admin}/projects/{tenant.scope.project_id}/keys"
    live = [key for key in (await admin.get(keys)).json()["items"] if not key["isPrimary"] and not key["revokedAt"]]
    changed = await operator.patch(place, json={"keysPerProject": len(live) + 1})
    assert (changed.status_code, changed.json()["keysPerProject"]) == (200, len(live) + 1)
    body = {"name": "one more", "scopes": ["hrn:project:*"]}
    assert [(await admin.post(keys, json=body)).status_code for _ in range(2)] == [201, 409]
    for wrong in (-1, 10_001, "5", 1.5, None):
        assert (await operator.patch(place, json={"keysPerProject": wrong})).status_code == 422
    assert (await operator.patch(f"{ORGS}/{UUID(int=7)}", json={"keysPerProject": 5})).status_code == 404
    [row] = (await admin.get(f"{tenant.admin}/audit", params={"action": "ORGANIZATION_LIMITED"})).json()["items"]
    assert (row["details"]["before"], row["details"]["keysPerProject"]) == (50, len(live) + 1)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "a\u0007"}, {"name": "x", "ownerEmail": "nobody"}])
async def test_what_is_no_organisation_is_refused_and_makes_none(
    operator: httpx.AsyncClient, deps: ObservedDeps, body: dict[str, str]
) -> None:
    before = await deps.database.fetchval("SELECT count(*) FROM organizations")
    assert (await operator.post(ORGS, json=body)).status_code == 422
    assert await deps.database.fetchval("SELECT count(*) FROM organizations") == before


async def test_no_organisation_stays_behind_while_nobody_wraps_its_keys(
    deps: ObservedDeps, settings: Settings, port: int
) -> None:
    """Each attempt was answered 503 and left another one, without a log and without tools."""
    away = KeyProviders.only(VaultKeyWrapper("http://127.0.0.1:1", "planvault", VaultToken("token")))
    broken = replace(deps, key_providers=away)
    open_port = settings.model_copy(update={"superadmin_port": port})
    before = await deps.database.fetchval("SELECT count(*) FROM organizations")
    async with superadmin(open_port, broken), calling(f"http://127.0.0.1:{port}", ADMIN.text) as client:
        answer = await client.post(ORGS, json={"name": "Acme"})
    assert (answer.status_code, "Vault" in answer.text) == (503, True)
    assert await deps.database.fetchval("SELECT count(*) FROM organizations") == before


@pytest.mark.parametrize("step", ["install_native_tools", "changed"])
async def test_an_organisation_that_could_not_be_finished_is_taken_back(
    deps: ObservedDeps, operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The provider answers, and a moment later it does not; or its tools cannot be written, or its log not begun."""

    async def away(*_: object) -> None:
        raise Unavailable("The key provider is away")

    monkeypatch.setattr(f"serve_apps.superadmin.routes.{step}", away)
    before = await deps.database.fetchval("SELECT count(*) FROM organizations")
    answer = await operator.post(ORGS, json={"name": "Acme"})
    assert answer.status_code == 503
    assert await deps.database.fetchval("SELECT count(*) FROM organizations") == before


async def test_an_organisation_with_a_log_is_not_taken_back(
    deps: ObservedDeps, settings: Settings, operator: httpx.AsyncClient
) -> None:
    made = (await operator.post(ORGS, json={"name": "Acme"})).json()["organization"]
    scope = OrgScope(org_id=OrgId(UUID(made["id"])))
    async with open_platform(settings, deps.commands) as platform:
        await platform.organizations.take_back(scope)
    assert (await operator.get(f"{ORGS}/{made['id']}")).status_code == 200


async def test_the_public_application_knows_nothing_of_it(
    admin: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    document = (await admin.get("/api/openapi.json")).text
    assert "superadmin" not in document
    assert (await admin.get(ORGS)).status_code == 404
    assert (await operator.get("/api/openapi.json")).status_code == 404
    assert (await operator.get("/superadmin/v1/health")).status_code in (200, 503)
    assert (await operator.get("/superadmin/v1/health")).headers["X-Content-Type-Options"] == "nosniff"


async def test_two_replicas_share_the_port_and_a_strangers_port_is_refused(
    deps: ObservedDeps, settings: Settings, port: int
) -> None:
    chosen = settings.model_copy(update={"superadmin_port": port})
    both = superadmin(chosen, deps), superadmin(chosen, deps)
    async with both[0], both[1], calling(f"http://127.0.0.1:{port}", ADMIN.text) as client:
        assert (await client.get(ORGS)).status_code == 200
    with socket.create_server(("127.0.0.1", port)), pytest.raises(BringUpFailed, match="SUPERADMIN_PORT"):
        async with superadmin(chosen, deps):
            pass


async def test_without_a_port_it_is_not_served(deps: ObservedDeps, settings: Settings) -> None:
    async with superadmin(settings, deps) as port:
        assert port == 0


# ── with an issuer ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serving() as running:
        yield running


@pytest.fixture
async def issuer_deps(settings: Settings, issuer: Issuer) -> AsyncIterator[ObservedDeps]:
    trusting = settings.model_copy(
        update={
            "oidc_issuer": issuer.url,
            "oidc_audience": AUDIENCE,
            "oidc_private": True,
            "oidc_operator_claim": "roles",
        }
    )
    async with observed(trusting, OneHotEmbedder(), {}) as opened:
        yield opened


@asynccontextmanager
async def operators_of(deps: ObservedDeps, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        platform: Platform = await stack.enter_async_context(open_platform(deps.settings, deps.commands))
        transport = httpx.ASGITransport(app=create_superadmin(deps, platform), raise_app_exceptions=False)
        yield await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://operators", headers=bearer(token))
        )
