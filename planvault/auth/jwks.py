"""An issuer's published keys (RFC 7517) as keys that verify: what is for signatures, strong enough and public.

Which algorithms a key serves follows from the key, never from a token: that is what makes confusion of algorithms
(RFC 8725 §2.1) impossible. What is no such key is passed over, so that one that we do not know spoils no other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from planvault.errors import NotAuthenticated

RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
EDWARDS = frozenset({"EdDSA", "Ed25519"})  # RFC 8037, and its name since RFC 9864
CURVES: Mapping[str, str] = MappingProxyType({"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"})
ALGORITHMS = RSA | EDWARDS | frozenset(CURVES.values())
"""All that is ever accepted: asymmetric ones. `none` and the HMACs are in no list that anything could widen."""

MOST_KEYS = 100
MOST_BYTES = 512 * 1024
MOST_TRIED = 4
"""Keys of one algorithm that are tried for a token that names none: two, in a rotation. A stranger's token costs as
many verifications as there are candidates; an issuer of more keys must name them (OpenID Connect Core 1.0 §10.1)."""
_RSA_BITS = range(2_048, 8_193)  # NIST SP 800-131A; above, a stranger's token costs more than it should
_SHORTEST_MODULUS = 341  # characters of 2,048 bits in base64url
_LONGEST_NUMBER = 1_400  # of 8,192 bits, with room
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

PublicKey: TypeAlias = "RSAKey | ECKey | OKPKey"


class NotAKeySet(ValueError):
    """The document is no JWK Set, or one that is out of all proportion."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    kid: str  # empty where the issuer names none
    algorithms: frozenset[str]
    key: PublicKey
    thumbprint: str  # RFC 7638


class KeySet:
    """The keys of one moment."""

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        self._keys = tuple(keys)
        self._by_kid: dict[str, list[VerificationKey]] = defaultdict(list)
        for key in self._keys:
            self._by_kid[key.kid].append(key)
        self.names = frozenset((key.kid, key.thumbprint) for key in self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def candidates(self, kid: str, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that a token of this header may be signed with; without a `kid` all that serve the algorithm.

        Raises NotAuthenticated where those are more than MOST_TRIED.
        """
        named = self._by_kid.get(kid, ()) if kid else self._keys
        found = tuple(key for key in named if algorithm in key.algorithms)
        if len(found) > MOST_TRIED:
            raise NotAuthenticated("The token does not say which of the issuer's many keys has signed it (`kid`).")
        return found


def read_key_set(document: bytes) -> KeySet:
    """Raises NotAKeySet."""
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise NotAKeySet("it is not JSON") from error
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise NotAKeySet("it has no list of keys")
    if len(entries) > MOST_KEYS:
        raise NotAKeySet(f"it has more than {MOST_KEYS} keys")
    return KeySet(key for entry in entries if isinstance(entry, dict) and (key := _usable(entry)) is not None)


def _usable(entry: dict[str, Any]) -> VerificationKey | None:
    kid = entry.get("kid", "")
    if not isinstance(kid, str) or not _is_for_verifying(entry):
        return None
    try:
        imported = _imported(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if imported is None:
        return None
    key, serves = imported
    declared = entry.get("alg")
    if declared is not None:
        # EdDSA and Ed25519 are two names of one algorithm.
        serves &= EDWARDS if isinstance(declared, str) and declared in EDWARDS else frozenset({declared})
    return VerificationKey(kid, serves, key, key.thumbprint()) if serves else None


def _is_for_verifying(entry: dict[str, Any]) -> bool:
    if _PRIVATE & entry.keys():
        return False  # whose private half is published, anybody can sign with
    if any(isinstance(entry.get(name), str) and len(entry[name]) > _LONGEST_NUMBER for name in ("n", "e", "x", "y")):
        return False
    operations = entry.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return False
    declared = entry.get("alg")
    return entry.get("use", "sig") == "sig" and (declared is None or isinstance(declared, str))


def _imported(entry: dict[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    """The key, and all that keys of its kind serve. Raises what the library raises for numbers that are no key."""
    # Only what makes the key: the library would judge, and keep, everything else that stands there.
    match entry.get("kty"):
        case "RSA":
            if len(entry["n"]) < _SHORTEST_MODULUS:
                return None
            rsa = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
            return (rsa, RSA) if rsa.public_key.key_size in _RSA_BITS else None
        case "EC" if entry.get("crv") in CURVES:
            curve = ECKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "y")})
            return curve, frozenset({CURVES[entry["crv"]]})
        case "OKP" if entry.get("crv") == "Ed25519":
            return OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x")}), EDWARDS
    return None
