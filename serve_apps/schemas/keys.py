"""Project keys on the wire."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, StringConstraints, model_validator

from models.tenants import ApiKey
from planvault.storage.api_keys import LONGEST_GRACE
from serve_apps.schemas.base import Body, Name, Reply

Scope = Annotated[str, StringConstraints(pattern=r"^[a-z0-9:*-]{1,200}$")]


class CreateKey(Body):
    name: Name
    scopes: list[Scope] = Field(
        default_factory=list, max_length=50, description="For example `hrn:project:session:*`. Not of a primary key."
    )
    primary: StrictBool = Field(default=False, description="The project's one key with every scope.")
    expires_at: AwareDatetime | None = Field(
        default=None, description="When the key ends by itself. Not of a primary key."
    )

    @model_validator(mode="after")
    def primary_is_plain(self) -> Self:
        if self.primary and (self.scopes or self.expires_at is not None):
            raise ValueError("a primary key has every scope and does not expire: leave `scopes` and `expiresAt` out")
        return self


class RotateKey(Body):
    grace_seconds: StrictInt = Field(
        default=0,
        ge=0,
        le=int(LONGEST_GRACE.total_seconds()),
        description="How long the old text still opens; 0: it ends within seconds.",
    )


class KeyOut(Reply):
    id: UUID
    name: str
    preview: str = Field(description="The last four characters.")
    scopes: list[str]
    is_primary: bool
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute; null after a rotation until it is used again.")
    expires_at: datetime | None
    rotated_at: datetime | None
    retiring_until: datetime | None = Field(description="Until then the text before the last rotation opens too.")
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyOut":
        return cls(**key.model_dump(exclude={"scopes"}), scopes=list(key.scopes))


class NewKeyOut(KeyOut):
    key: str = Field(description="The key itself; shown in this answer only.")

    @classmethod
    def with_text(cls, key: ApiKey, text: str) -> "NewKeyOut":
        return cls(**KeyOut.of(key).model_dump(), key=text)
