"""Service tokens on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, StrictInt

from models.access import Role
from models.service_tokens import ServiceToken
from planvault.storage.service_tokens import LONGEST_GRACE, LONGEST_LIFE
from serve_apps.schemas.base import Body, Name, Reply

_DAYS = 90


class CreateServiceToken(Body):
    name: Name = Field(description="Stands in the audit log as `service:NAME`; one live token of a name.")
    role: Role = Field(description="ADMIN at most, and never above your own.")
    expires_in_days: StrictInt = Field(default=_DAYS, ge=1, le=LONGEST_LIFE.days)


class RotateServiceToken(Body):
    expires_in_days: StrictInt = Field(default=_DAYS, ge=1, le=LONGEST_LIFE.days, description="From now on.")
    grace_seconds: StrictInt = Field(
        default=0,
        ge=0,
        le=int(LONGEST_GRACE.total_seconds()),
        description="How long the old text still opens; 0: it ends within seconds.",
    )


class ServiceTokenOut(Reply):
    id: UUID
    name: str
    role: Role
    preview: str = Field(description="The last four characters.")
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="To the minute; null after a rotation until it is used again.")
    rotated_at: datetime | None
    retiring_until: datetime | None = Field(description="Until then the text before the last rotation opens too.")
    revoked_at: datetime | None
    maker_is_gone: bool = Field(
        description="Who was shown its text is no member any more; the token opens all the same. Rotate it, or revoke."
    )

    @classmethod
    def of(cls, token: ServiceToken) -> "ServiceTokenOut":
        return cls(**token.model_dump())


class NewServiceTokenOut(ServiceTokenOut):
    token: str = Field(description="The token itself; shown in this answer only.")

    @classmethod
    def with_text(cls, token: ServiceToken, text: str) -> "NewServiceTokenOut":
        return cls(**token.model_dump(), token=text)
