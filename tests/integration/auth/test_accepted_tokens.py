"""Tokens as real issuers make them."""

import time
from typing import Any

import pytest

from planvault.errors import NotAuthenticated
from tests.integration.auth.conftest import Door, OpenDoor
from tests.integration.auth.issuer import AUDIENCE, Issuer, signer

EVERY = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]


async def test_a_token_names_its_person_by_issuer_and_subject(door: Door, issuer: Issuer) -> None:
    who = await door.identify(issuer.token())
    assert (who.issuer, who.subject) == (issuer.url, "f3b9…person")
    assert (who.email, who.email_verified, who.name) == ("Mia@Acme.example", True, "Mia")
    assert who.verified_email == "mia@acme.example"
    assert not who.is_operator


@pytest.mark.parametrize("algorithm", EVERY)
async def test_every_asymmetric_algorithm_is_accepted_of_the_key_that_serves_it(
    door: Door, issuer: Issuer, algorithm: str
) -> None:
    chosen = signer(f"kid-{algorithm}", algorithm)
    issuer.keys = [chosen.jwk()]
    assert (await door.identify(chosen.sign(issuer.claims()))).name == "Mia"


async def test_a_key_that_names_no_algorithm_serves_those_of_its_kind(door: Door, issuer: Issuer) -> None:
    issuer.keys = [signer().jwk(alg=None, use=None)]
    for algorithm in ("RS256", "PS512"):
        await door.identify(signer().sign(issuer.claims(), alg=algorithm))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        pytest.param(
            {"typ": "JWT"},
            {
                "aud": ["account", AUDIENCE],
                "azp": "console",
                "typ": "Bearer",
                "acr": "1",
                "sid": "5d",
                "jti": "trrtcc:9",
                "allowed-origins": ["https://console.example"],
                "realm_access": {"roles": ["offline_access", "planvault-operator"]},
                "resource_access": {"account": {"roles": ["view-profile"]}},
                "scope": "openid email profile",
                "preferred_username": "mia",
            },
            id="Keycloak",
        ),
        pytest.param(
            {"typ": "JWT", "x5t": "aGVsbG8", "nonce": None},
            {"azp": "c-1", "azpacr": "0", "ver": "2.0", "tid": "t", "oid": "o", "rh": "0.A", "uti": "u", "nbf": 1},
            id="Entra v2",
        ),
        pytest.param(
            {"typ": "at+jwt"},
            {
                "aud": [AUDIENCE, "https://acme.eu.auth0.com/userinfo"],
                "azp": "c-1",
                "sub": "auth0|65f",
                "scope": "openid",
                "permissions": [],
                "email": None,
                "email_verified": None,
            },
            id="Auth0",
        ),
        pytest.param({"typ": None}, {"client_id": "c-1", "gty": "client-credentials"}, id="no typ"),
    ],
)
async def test_access_tokens_of_well_known_issuers_are_accepted(
    door: Door, issuer: Issuer, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    await door.identify(signer().sign(issuer.claims(**claims), **header))


async def test_entra_people_are_known_by_oid_where_the_operator_says_so(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(subject_claim="oid")
    assert (await door.identify(issuer.token(sub="pairwise", oid="of the tenant"))).subject == "of the tenant"
    with pytest.raises(NotAuthenticated, match="oid"):
        await door.identify(issuer.token())


@pytest.mark.parametrize("told", [False, None, "true", 1])
async def test_an_address_that_the_issuer_has_not_verified_is_nobodys(door: Door, issuer: Issuer, told: object) -> None:
    who = await door.identify(issuer.token(email_verified=told))
    assert (who.email_verified, who.verified_email) == (False, "")


async def test_the_operator_may_vouch_for_addresses_and_say_where_they_stand(opened: OpenDoor, issuer: Issuer) -> None:
    claim = "https://acme.example/email"
    vouched = await opened(emails_are_verified=True)
    assert (await vouched.identify(issuer.token(email_verified=None))).verified_email == "mia@acme.example"
    renamed = await opened(email_claim=claim)
    told = {claim: "Lea@Acme.example", f"{claim}_verified": True}
    assert (await renamed.identify(issuer.token(**told))).verified_email == "lea@acme.example"


async def test_clocks_may_differ_by_the_leeway_and_no_more(opened: OpenDoor, issuer: Issuer) -> None:
    door, now = await opened(leeway_s=30.0), time.time()
    await door.identify(issuer.token(exp=now - 20))
    await door.identify(issuer.token(nbf=now + 20, iat=now + 20))
    for wrong in ({"exp": now - 40}, {"nbf": now + 40}, {"iat": now + 40}):
        with pytest.raises(NotAuthenticated):
            await door.identify(issuer.token(**wrong))


async def test_operators_are_named_by_a_claim_a_subject_or_a_verified_address(opened: OpenDoor, issuer: Issuer) -> None:
    roles = {"realm_access": {"roles": ["planvault-operator"]}}
    by_claim = await opened(operator_claim="realm_access.roles", operator_value="planvault-operator")
    assert (await by_claim.identify(issuer.token(**roles))).is_operator
    assert not (await by_claim.identify(issuer.token(realm_access={"roles": ["planvault-operators"]}))).is_operator
    assert not (await by_claim.identify(issuer.token(realm_access="planvault-operator"))).is_operator
    by_url = await opened(operator_claim="https://acme.example/roles", operator_value="boss")
    assert (await by_url.identify(issuer.token(**{"https://acme.example/roles": ["boss"]}))).is_operator
    by_name = await opened(operators=frozenset({"mia@acme.example", "the-subject"}))
    assert (await by_name.identify(issuer.token())).is_operator
    assert (await by_name.identify(issuer.token(sub="the-subject", email=None))).is_operator
    assert not (await by_name.identify(issuer.token(email_verified=False))).is_operator
    assert not (await by_name.identify(issuer.token(sub="mia@acme.example", email=None))).is_operator
