"""Service tokens: what programs of an organisation call with."""

from __future__ import annotations

from datetime import datetime

from models.access import Role
from models.base import Frozen
from models.ids import ServiceTokenId


class ServiceToken(Frozen):
    """What may be shown of a service token after its creation."""

    id: ServiceTokenId
    name: str
    role: Role  # ADMIN at most
    preview: str  # last four characters
    created_by: str  # an actor's label
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    rotated_at: datetime | None
    retiring_until: datetime | None  # the text before the last rotation opens until then
    revoked_at: datetime | None
    maker_is_gone: bool = False  # who was shown its text is no member any more; the token opens all the same
