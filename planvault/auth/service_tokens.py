"""Service tokens as authentication sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.access import Role
from models.ids import OrgId, ServiceTokenId


@dataclass(frozen=True, slots=True)
class ServiceTokenRecord:
    """A service token that works now. The text that was sent ends by itself at `ends_at`, in `ends_in_s` seconds."""

    id: ServiceTokenId
    org_id: OrgId
    name: str
    role: Role
    ends_at: datetime
    ends_in_s: float


class ServiceDirectory(Protocol):
    """Where service tokens are kept. planvault.storage.service_tokens implements it."""

    async def find(self, sha256: bytes) -> ServiceTokenRecord | None:
        """The live token with this digest. It notes, at most once a minute, that the token was used."""
        ...
