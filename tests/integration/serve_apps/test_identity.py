"""Signing in: an issuer's token over the API, and what becomes of the static admin token."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from planvault.settings import Settings
from tests.integration.auth.issuer import AUDIENCE, Issuer, serving, signer
from tests.integration.serve_apps.conftest import (
    ADMIN,
    ObservedDeps,
    OneHotEmbedder,
    Tenant,
    client_for,
    make_tenant,
    observed,
)

pytestmark = pytest.mark.postgres

MIA = "mia@acme.example"
OpenDeps = Callable[..., Awaitable[ObservedDeps]]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serving() as running:
        yield running


@pytest.fixture
async def opened(issuer: Issuer, database_url: str, tmp_path: Path) -> AsyncIterator[OpenDeps]:
    """An API that trusts the issuer; keywords are further settings."""
    async with AsyncExitStack() as stack:

        async def opening(**more: object) -> ObservedDeps:
            settings = Settings(
                database_url=database_url,
                data_dir=tmp_path,
                admin_token_sha256=ADMIN.sha256.hex(),
                rate_limits="off",
                oidc_issuer=issuer.url,
                oidc_audience=f"other, {AUDIENCE}",
                oidc_private=True,
                **more,  # type: ignore[arg-type]
            )
            return await stack.enter_async_context(observed(settings, OneHotEmbedder(), {}))

        yield opening


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def invited(deps: ObservedDeps, tenant: Tenant, email: str, role: str) -> str:
    async with client_for(deps, bearer(ADMIN.text)) as admin:
        answer = await admin.post(f"{tenant.admin}/invitations", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


async def test_who_signs_in_belongs_nowhere_until_they_take_an_invitation(opened: OpenDeps, issuer: Issuer) -> None:
    deps = await opened(keep_admin_token=True)
    tenant, other = await make_tenant(deps), await make_tenant(deps)
    invitation = await invited(deps, tenant, MIA, "OWNER")
    async with client_for(deps, bearer(issuer.token())) as mia:
        assert (await mia.get(f"{tenant.admin}/projects")).status_code == 404
        account = (await mia.get("/api/v1/account")).json()
        assert (account["email"], account["organizations"]) == (MIA, [])
        joined = await mia.post("/api/v1/account/invitations", json={"token": invitation})
        assert joined.is_success, joined.text
        assert (await mia.get(f"{tenant.admin}/projects")).status_code == 200
        assert (await mia.get(f"{other.admin}/projects")).status_code == 404
        audit = (await mia.get(f"{tenant.admin}/audit")).json()["items"]
    assert (audit[0]["action"], audit[0]["actor"]) == ("MEMBER_JOINED", MIA)


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email": "eve@acme.example"}, {"email": None}])
async def test_an_invitation_is_not_for_whom_only_claims_the_address(
    opened: OpenDeps, issuer: Issuer, claims: dict[str, object]
) -> None:
    deps = await opened(keep_admin_token=True)
    invitation = await invited(deps, await make_tenant(deps), MIA, "OWNER")
    async with client_for(deps, bearer(issuer.token(sub="eve", **claims))) as eve:
        answer = await eve.post("/api/v1/account/invitations", json={"token": invitation})
    assert answer.status_code == 403


async def test_people_are_who_their_subject_says_whatever_becomes_of_their_address(
    opened: OpenDeps, issuer: Issuer
) -> None:
    """An address that goes to a colleague takes no membership along."""
    deps = await opened(keep_admin_token=True)
    tenant = await make_tenant(deps)
    invitation = await invited(deps, tenant, MIA, "ADMIN")
    async with client_for(deps, bearer(issuer.token(sub="mia-1"))) as mia:
        assert (await mia.post("/api/v1/account/invitations", json={"token": invitation})).is_success
    renamed = issuer.token(sub="mia-1", email="mia.new@acme.example", name="Mia N.")
    async with client_for(deps, bearer(renamed)) as mia:
        assert (await mia.get(f"{tenant.admin}/projects")).status_code == 200
    async with client_for(deps, bearer(issuer.token(sub="mia-2"))) as successor:
        assert (await successor.get(f"{tenant.admin}/projects")).status_code == 404


async def test_a_refused_token_is_a_401_that_says_why_and_how_to_ask(opened: OpenDeps, issuer: Issuer) -> None:
    deps = await opened()
    tenant = await make_tenant(deps)
    for token, why in (
        (issuer.token(exp=1), "expired"),
        (issuer.token(aud="account"), "audience"),
        (signer("stranger").sign(issuer.claims()), "signature"),
        ("eyJhbGciOiJub25lIn0.e30.", "not known"),
    ):
        async with client_for(deps, bearer(token)) as client:
            answer = await client.get(f"{tenant.admin}/projects")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert why in answer.json()["detail"]


async def test_while_the_issuer_is_away_a_new_persons_request_is_to_be_repeated(
    opened: OpenDeps, issuer: Issuer
) -> None:
    issuer.is_down = True
    deps = await opened()
    async with client_for(deps, bearer(issuer.token())) as client:
        answer = await client.get("/api/v1/account")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:planvault:problem:ISSUER_UNAVAILABLE")
    assert answer.headers["Retry-After"]
    assert issuer.url not in answer.text


async def test_the_admin_token_is_refused_once_people_sign_in_unless_the_operator_keeps_it(opened: OpenDeps) -> None:
    deps, kept = await opened(), await opened(keep_admin_token=True)
    tenant = await make_tenant(deps)
    async with client_for(deps, bearer(ADMIN.text)) as admin:
        answer = await admin.get(f"{tenant.admin}/projects")
    assert answer.status_code == 401
    assert "PLANVAULT_KEEP_ADMIN_TOKEN" in answer.json()["detail"]
    async with client_for(kept, bearer(ADMIN.text)) as admin:
        assert (await admin.get(f"{tenant.admin}/projects")).status_code == 200


async def test_project_keys_and_service_tokens_are_not_the_issuers_business(opened: OpenDeps, issuer: Issuer) -> None:
    issuer.is_down = True
    deps = await opened(keep_admin_token=True)
    tenant = await make_tenant(deps)
    async with client_for(deps, bearer(ADMIN.text)) as admin:
        made = (await admin.post(f"{tenant.admin}/service-tokens", json={"name": "ci", "role": "ADMIN"})).json()
    async with client_for(deps, tenant.auth) as client:
        assert (await client.get(f"{tenant.base}/sessions")).status_code == 200
    async with client_for(deps, bearer(made["token"])) as service:
        assert (await service.get(f"{tenant.admin}/projects")).status_code == 200


async def test_a_person_votes_in_their_own_name(opened: OpenDeps, issuer: Issuer) -> None:
    deps = await opened(keep_admin_token=True)
    tenant = await make_tenant(deps)
    invitation = await invited(deps, tenant, MIA, "ADMIN")
    headers = bearer(issuer.token()) | {"X-Operator-Id": "somebody else"}
    async with client_for(deps, headers) as mia:
        taken = await mia.post(
            "/api/v1/account/invitations", json={"token": invitation}, headers={"X-Operator-Id": MIA}
        )
        assert taken.is_success
        answer = await mia.put(f"{tenant.admin}/secrets", json={"secrets": {"A": "value of it"}})
    assert answer.status_code == 403
