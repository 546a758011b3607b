"""`Authorization` header → Principal."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Protocol

from models.ids import KeyId, OrgId, ProjectId
from planvault.auth.keys import PROJECT_PREFIX, SERVICE_PREFIX, digest
from planvault.auth.look_ups import LookUps
from planvault.auth.oidc_token import LONGEST
from planvault.auth.principals import Principal, admin_token, project_key, service
from planvault.auth.remembered import Remembered
from planvault.auth.service_tokens import ServiceDirectory
from planvault.auth.sign_in import SignIn
from planvault.errors import BringUpFailed, NotAuthenticated

CACHE_S = 4.0
"""A revoked key or token works for at most this long on a replica that has seen it; the product promises 5 s."""
_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


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
    """One a process; its memory of what it has checked is the reason."""

    def __init__(
        self,
        keys: KeyDirectory,
        admin_token_sha256: str,
        *,
        services: ServiceDirectory | None = None,
        sign_in: SignIn | None = None,
        keep_admin_token: bool = False,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        """`admin_token_sha256`: 64 hex digits from settings; empty: there is no admin token. Raises BringUpFailed.

        With `sign_in` people have names, and the token that has none is refused, unless `keep_admin_token`.
        """
        if admin_token_sha256 and not _SHA256_HEX.fullmatch(admin_token_sha256):
            raise BringUpFailed("PLANVAULT_ADMIN_TOKEN_SHA256 must be the 64 hex digits of a SHA-256.")
        self._keys = keys
        self._services = services
        self._sign_in = sign_in
        self._admin_sha256 = bytes.fromhex(admin_token_sha256)
        self._admin_is_refused = sign_in is not None and not keep_admin_token
        self._elapsed = elapsed
        self._known: Remembered[Principal] = Remembered(elapsed)
        self._look_ups: LookUps[bytes, Principal] = LookUps(elapsed, CACHE_S)

    async def authenticate(self, authorization: str | None) -> Principal:
        """Raises NotAuthenticated; the message never repeats what was sent. IssuerUnavailable: it cannot be said."""
        token = _bearer(authorization)
        sha256 = digest(token)
        if token.startswith(PROJECT_PREFIX):
            return await self._credential(sha256, self._project_key, "project key")
        if token.startswith(SERVICE_PREFIX):
            return await self._credential(sha256, self._service_token, "service token")
        if self._admin_sha256 and hmac.compare_digest(sha256, self._admin_sha256):
            return self._admin()
        if self._sign_in is not None:
            return await self._sign_in.person(token, sha256)
        raise NotAuthenticated("The token is not known. Send a project key (sk_live_…) or the admin token.")

    def _admin(self) -> Principal:
        if self._admin_is_refused:
            raise NotAuthenticated(
                "The admin token is refused because people sign in at an issuer. Sign in there, or let the operator "
                "set PLANVAULT_KEEP_ADMIN_TOKEN=true."
            )
        return admin_token()

    async def _credential(
        self, sha256: bytes, look_up: Callable[[bytes], Awaitable[Principal | None]], what: str
    ) -> Principal:
        found = self._known.get(sha256) or await self._look_ups.find(sha256, lambda: look_up(sha256))
        if found is None:
            raise NotAuthenticated(f"The {what} is not known, was revoked or rotated, or has expired.")
        return found

    async def _project_key(self, sha256: bytes) -> Principal | None:
        asked_at = self._elapsed()
        record = await self._keys.find(sha256)
        if record is None:
            self._known.drop(sha256)
            return None
        found = project_key(record.id, record.org_id, record.project_id, record.name, record.scopes, record.ends_at)
        lasts_s = CACHE_S if record.ends_in_s is None else min(CACHE_S, record.ends_in_s)
        self._known.put(sha256, asked_at + lasts_s, found)
        return found

    async def _service_token(self, sha256: bytes) -> Principal | None:
        asked_at = self._elapsed()
        record = None if self._services is None else await self._services.find(sha256)
        if record is None:
            self._known.drop(sha256)
            return None
        found = service(record.id, record.org_id, record.name, record.role, record.ends_at)
        self._known.put(sha256, asked_at + min(CACHE_S, record.ends_in_s), found)
        return found


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise NotAuthenticated("Send `Authorization: Bearer …` with a project key, a service token or your own token.")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST or not token.isascii():
        raise NotAuthenticated("The Authorization header must be `Bearer` and one token.")
    return token
