"""The second check of algorithms, behind the choice of keys: a key verifies nothing that it does not serve."""

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from planvault.auth.jwks import MOST_TRIED, KeySet, VerificationKey
from planvault.auth.oidc_token import verified_payload
from planvault.errors import NotAuthenticated


def test_a_key_verifies_no_algorithm_that_it_does_not_serve() -> None:
    private = RSAKey.generate_key(2_048)
    text = jws.serialize_compact({"alg": "RS256"}, b"{}", private, ["RS256"])
    public = RSAKey.import_key(private.as_dict(private=False))

    def serving(algorithm: str) -> VerificationKey:
        return VerificationKey("k", frozenset({algorithm}), public, public.thumbprint())

    assert verified_payload(text, "RS256", serving("RS256")) == b"{}"
    assert verified_payload(text, "RS256", serving("PS256")) is None
    assert verified_payload(text, "PS256", serving("PS256")) is None


@pytest.mark.parametrize("kid", ["k", ""])
def test_no_token_is_tried_against_more_than_a_few_keys_whether_or_not_it_names_one(kid: str) -> None:
    """An issuer may publish a hundred keys under one name."""
    public = RSAKey.import_key(RSAKey.generate_key(2_048).as_dict(private=False))
    keys = [VerificationKey("k", frozenset({"RS256"}), public, str(number)) for number in range(MOST_TRIED + 1)]
    assert len(KeySet(keys[1:]).candidates(kid, "RS256")) == MOST_TRIED
    with pytest.raises(NotAuthenticated):
        KeySet(keys).candidates(kid, "RS256")
