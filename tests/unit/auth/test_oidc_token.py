"""The second check of algorithms, behind the choice of keys: a key verifies nothing that it does not serve."""

from joserfc import jws
from joserfc.jwk import RSAKey

from planvault.auth.jwks import VerificationKey
from planvault.auth.oidc_token import verified_payload


def test_a_key_verifies_no_algorithm_that_it_does_not_serve() -> None:
    private = RSAKey.generate_key(2_048)
    text = jws.serialize_compact({"alg": "RS256"}, b"{}", private, ["RS256"])
    public = RSAKey.import_key(private.as_dict(private=False))

    def serving(algorithm: str) -> VerificationKey:
        return VerificationKey("k", frozenset({algorithm}), public, public.thumbprint())

    assert verified_payload(text, "RS256", serving("RS256")) == b"{}"
    assert verified_payload(text, "RS256", serving("PS256")) is None
    assert verified_payload(text, "PS256", serving("PS256")) is None
