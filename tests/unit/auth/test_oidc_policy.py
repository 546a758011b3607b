"""What the operator writes down about the issuer; what cannot be right stops the start."""

import pytest

from planvault.auth.oidc_policy import is_web_url, oidc_policy
from planvault.errors import BringUpFailed
from planvault.settings import Settings

ISSUER = "https://id.example/realms/acme"


def settings(**given: object) -> Settings:
    return Settings(**{"oidc_issuer": ISSUER, "oidc_audience": "planvault", **given})  # type: ignore[arg-type]


def test_without_an_issuer_nobody_signs_in() -> None:
    assert oidc_policy(Settings()) is None


def test_lists_are_read_without_blanks_and_addresses_without_case() -> None:
    policy = oidc_policy(
        settings(
            oidc_audience=" planvault , api://1,", oidc_clients="console", oidc_operators="Mia@Acme.example, Sub-1"
        )
    )
    assert policy is not None
    assert policy.audiences == {"planvault", "api://1"}
    assert policy.clients == {"console"}
    assert policy.operators == {"mia@acme.example", "Sub-1"}


def test_only_the_operator_opens_private_addresses() -> None:
    for private in (False, True):
        policy = oidc_policy(settings(oidc_private=private))
        assert policy is not None
        assert (policy.egress.allow_private, policy.egress.allow_loopback) == (private, private)


@pytest.mark.parametrize("audience", ["", " ", ",", " , "])
def test_an_issuer_needs_an_audience(audience: str) -> None:
    with pytest.raises(BringUpFailed, match="PLANVAULT_OIDC_AUDIENCE"):
        oidc_policy(settings(oidc_audience=audience))


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example",
        "id.example",
        "https://",
        "https://user@id.example",
        "https://id.example/?realm=1",
        "https://id.example/#a",
        "https://[",
        "file:///etc/passwd",
        "ftp://id.example",
    ],
)
def test_an_address_that_keys_could_not_come_from_is_refused(url: str) -> None:
    with pytest.raises(BringUpFailed, match="PLANVAULT_OIDC_ISSUER"):
        oidc_policy(settings(oidc_issuer=url))
    with pytest.raises(BringUpFailed, match="PLANVAULT_OIDC_JWKS_URL"):
        oidc_policy(settings(oidc_jwks_url=url))


def test_plain_http_is_for_the_operators_own_network() -> None:
    assert oidc_policy(settings(oidc_issuer="http://keycloak:8080/realms/acme", oidc_private=True)) is not None
    assert not is_web_url("http://id.example/keys", is_private=False)
    assert is_web_url("https://www.googleapis.example/keys?v=3", is_private=False)
