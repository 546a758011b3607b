"""`Authorization` header → Principal."""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Protocol

from models.ids import KeyId, OrgId, ProjectId
from planvault.auth.keys import PROJECT_PREFIX, digest
from planvault.auth.principals import Principal, admin_token, project_key
from planvault.errors import BringUpFailed, NotAuthenticated

CACHE_S = 4.0
"""A revoked key works for at most this long on a replica that has seen it; the product promises 5 s."""
_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")
_CACHED_KEYS = 10_000
_LONGEST_TOKEN = 8_192  # a JWT with many claims fits; hashing megabytes for a stranger does not


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A project key that works now. The text that was sent ends by itself at `ends_at`, in `ends_in_s` seconds."""

    id: KeyId
    org_id: OrgId
    project_id: ProjectId
    name: str
    scopes: tuple[str, ...]
    ends_at: datetime | None = None
    ends_in_s: float | None = None


class KeyDirectory(Protocol):
    """Where project keys are kept. planvault.storage.api_keys implements it."""

    async def find(self, sha256: bytes) -> KeyRecord | None:
        """The live key with this digest. It notes, at most once a minute, that the key was used."""
        ...


class Authenticator:
    """One a process; its cache is the reason."""

    def __init__(
        self, keys: KeyDirectory, admin_token_sha256: str, *, elapsed: Callable[[], float] = monotonic
    ) -> None:
        """`admin_token_sha256`: 64 hex digits from settings; empty: there is no admin token. Raises BringUpFailed."""
        if admin_token_sha256 and not _SHA256_HEX.fullmatch(admin_token_sha256):
            raise BringUpFailed("PLANVAULT_ADMIN_TOKEN_SHA256 must be the 64 hex digits of a SHA-256.")
        self._keys = keys
        self._admin_sha256 = bytes.fromhex(admin_token_sha256)
        self._elapsed = elapsed
        self._cache: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def authenticate(self, authorization: str | None) -> Principal:
        """Raises NotAuthenticated; the message never repeats what was sent."""
        token = _bearer(authorization)
        sha256 = digest(token)
        if token.startswith(PROJECT_PREFIX):
            return await self._project_key(sha256)
        if self._admin_sha256 and hmac.compare_digest(sha256, self._admin_sha256):
            return admin_token()
        raise NotAuthenticated("The token is not known. Send a project key (sk_live_…) or the admin token.")

    async def _project_key(self, sha256: bytes) -> Principal:
        cached = self._cache.get(sha256)
        if cached is not None and self._elapsed() < cached[0]:
            return cached[1]
        asked_at = self._elapsed()
        record = await self._keys.find(sha256)
        if record is None:
            self._cache.pop(sha256, None)
            raise NotAuthenticated("The project key is not known, was revoked or rotated, or has expired.")
        principal = project_key(record.id, record.org_id, record.project_id, record.name, record.scopes, record.ends_at)
        lasts_s = CACHE_S if record.ends_in_s is None else min(CACHE_S, record.ends_in_s)
        self._remember(sha256, asked_at + lasts_s, principal)
        return principal

    def _remember(self, sha256: bytes, until: float, principal: Principal) -> None:
        """Only keys that exist are remembered, so strangers cannot fill the cache."""
        self._cache[sha256] = (until, principal)
        self._cache.move_to_end(sha256)
        while len(self._cache) > _CACHED_KEYS:
            self._cache.popitem(last=False)


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise NotAuthenticated("Send `Authorization: Bearer …` with a project key or the admin token.")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN or not token.isascii():
        raise NotAuthenticated("The Authorization header must be `Bearer` and one token.")
    return token
