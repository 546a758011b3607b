"""Wycheproof's signature vectors, in the encodings that JWS uses, under keys that were read as a key set.

The package carries no vectors of whole tokens (json_web_signature_test.json); tests/integration/auth has the catalogue
of those.
"""

from typing import Any

import orjson
import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from planvault.auth.jwks import VerificationKey, read_key_set
from tests.unit.crypto.wycheproof import groups

FILES = {
    "ecdsa_secp256r1_sha256_p1363": "ES256",
    "ecdsa_secp384r1_sha384_p1363": "ES384",
    "ecdsa_secp521r1_sha512_p1363": "ES512",
    "ed25519": "Ed25519",
    "rsa_signature_2048_sha256": "RS256",
    "rsa_signature_3072_sha384": "RS384",
    "rsa_signature_4096_sha512": "RS512",
    "rsa_signature_8192_sha256": "RS256",
    "rsa_pss_2048_sha256_mgf1_32": "PS256",
    "rsa_pss_2048_sha384_mgf1_48": "PS384",
    "rsa_pss_4096_sha512_mgf1_64": "PS512",
}


@pytest.mark.parametrize("name", FILES)
def test_every_vector_is_judged_as_it_should_be(name: str) -> None:
    algorithm = FILES[name]
    judge = JWSRegistry.algorithms[algorithm]
    seen = {"valid": 0, "invalid": 0}
    for group, tests in groups(f"Signature/wycheproof/{name}_test.json"):
        key = _key(group, algorithm)
        for test in tests:
            holds = judge.verify(bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]), key.key)
            if test["result"] in seen:  # the rest are matters of taste
                assert holds == (test["result"] == "valid"), f"{name} {test['tcId']}: {test['comment']}"
                seen[test["result"]] += 1
    assert min(seen.values()) > 3, seen


def _key(group: dict[str, Any], algorithm: str) -> VerificationKey:
    """The group's key as an issuer would publish it, read as its key set."""
    kind = {"E": ECKey, "R": RSAKey, "P": RSAKey}[algorithm[0]] if algorithm != "Ed25519" else OKPKey
    published = kind.import_key(group["publicKeyPem"]).as_dict(private=False)
    found = read_key_set(orjson.dumps({"keys": [published | {"kid": "k", "alg": algorithm}]}))
    (key,) = found.candidates("k", algorithm)
    return key
