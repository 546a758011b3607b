"""A signed token (JWS compact, RFC 7515): its header read with suspicion, its signature verified, its claims given.

Nothing in a token says where its key comes from: `jku`, `x5u`, `jwk` and `x5c` are never read, `kid` only names one of
the keys that the issuer published, and the algorithm must be one that this key serves.
"""

from __future__ import annotations

import re
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from planvault.auth.jwks import ALGORITHMS, VerificationKey
from planvault.errors import NotAuthenticated

LONGEST = 16_000
"""Characters of a token: the largest header that the API takes holds them. Entra's with two hundred groups, and
Keycloak's with many roles, have about half of that."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ENCRYPTED_PARTS = 5  # of a JWE (RFC 7516)
_LONGEST_KID = 512
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})  # RFC 9068 §4; most issuers write JWT

# Its one warning is that `EdDSA` is called `Ed25519` now (RFC 9864): issuers have not heard yet.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


class _Registry(jws.JWSRegistry):
    """Issuers put members of their own into headers; those are passed over (RFC 7515 §4), but for `crit`."""

    max_header_length = LONGEST
    max_payload_length = LONGEST
    max_signature_length = 2_048  # characters; of 8,192 bits


# One each: given a registry, the library verifies whichever of its algorithms its own reading of the header finds.
_REGISTRIES = {name: _Registry(algorithms=[name], strict_check_header=False) for name in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token whose form and header are right. Nothing of it is to be believed before `claims` has returned."""

    text: str
    algorithm: str
    kid: str  # empty where the header names none

    def claims(self, keys: Iterable[VerificationKey]) -> dict[str, Any] | None:
        """What the token says, where one of `keys` has signed it; else None. Raises NotAuthenticated for no object."""
        for key in keys:
            payload = verified_payload(self.text, self.algorithm, key)
            if payload is not None:
                return _object(payload, "The token's claims are not a JSON object.")
        return None


def read_token(text: str) -> SignedToken:
    """Raises NotAuthenticated with what is wrong; nothing of the token is repeated."""
    if len(text) > LONGEST:
        raise NotAuthenticated(f"The token is longer than {LONGEST:,} characters.")
    if text.count(".") == _ENCRYPTED_PARTS - 1:
        raise NotAuthenticated("The token is encrypted; this API takes signed ones.")
    if _COMPACT.fullmatch(text) is None:
        raise NotAuthenticated("The token is not known: it is neither a key of ours nor a signed token of the issuer.")
    header = _object(_decoded(text.partition(".")[0]), "The token's header is not a JSON object.")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise NotAuthenticated(f"The token's algorithm is not accepted: {', '.join(sorted(ALGORITHMS))} are.")
    if "crit" in header or "b64" in header:
        raise NotAuthenticated("The token's header demands an extension that is not supported.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise NotAuthenticated("The token's type is not that of an access token.")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > _LONGEST_KID:
        raise NotAuthenticated("The token's key id is not valid.")
    return SignedToken(text, algorithm, kid)


def verified_payload(text: str, algorithm: str, key: VerificationKey) -> bytes | None:
    """The bytes that `key` has signed with `algorithm`, which must be one that it serves; None where it has not."""
    if algorithm not in key.algorithms:
        return None
    try:
        payload = jws.deserialize_compact(text.encode(), key.key, registry=_REGISTRIES[algorithm]).payload
    except (JoseError, ValueError, RecursionError):
        return None
    return payload or None


def _object(text: bytes, otherwise: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotAuthenticated(otherwise) from None  # the parser's message quotes its input
    if not isinstance(found, dict):
        raise NotAuthenticated(otherwise)
    return found


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise NotAuthenticated("The token's header is not base64url.") from None
