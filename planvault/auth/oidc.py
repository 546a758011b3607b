"""A token of the operator's issuer → who its bearer is."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from planvault.auth.issuer_keys import IssuerKeys
from planvault.auth.oidc_claims import Identity, identity_of
from planvault.auth.oidc_policy import OidcPolicy
from planvault.auth.oidc_token import SignedToken, read_token
from planvault.errors import NotAuthenticated
from planvault.ports import Clock

_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class _Verified:
    identity: Identity
    withdrawals: int  # of keys, when it was verified


class Oidc:
    """One a process. A token that was verified is known by its SHA-256 until it expires or a key is withdrawn."""

    def __init__(self, policy: OidcPolicy, keys: IssuerKeys, clock: Clock) -> None:
        self._policy = policy
        self._keys = keys
        self._clock = clock
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()

    async def identify(self, text: str, sha256: bytes) -> Identity:
        """`sha256` is the token's. Raises NotAuthenticated, and IssuerUnavailable where it cannot be said."""
        known = self._cache.get(sha256)
        if known is not None and known.withdrawals == self._keys.withdrawals:
            self._keys.refresh_when_old()  # else a process of well-known callers would never hear of a withdrawal
            if self._clock.now().timestamp() < known.identity.expires_at.timestamp() + self._policy.leeway_s:
                return known.identity
        self._cache.pop(sha256, None)
        withdrawals = self._keys.withdrawals
        identity = await self._verified(read_token(text))
        self._cache[sha256] = _Verified(identity, withdrawals)
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return identity

    async def _verified(self, token: SignedToken) -> Identity:
        asked_at = self._keys.now()
        candidates = await self._keys.candidates(token.kid, token.algorithm)
        claims = token.claims(candidates)
        if claims is None and candidates and not token.kid:
            # Without a name for it, a new key shows only in that none of the old ones fits.
            newer = await self._keys.newer_candidates(token.kid, token.algorithm, asked_at)
            claims = token.claims(newer)
        if claims is None:
            raise NotAuthenticated("The token's signature is not of a key that the issuer publishes.")
        return identity_of(claims, self._policy, self._clock.now())
