"""Project keys on the wire."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, StringConstraints, model_validator

from models.access import KnownKey, KnownToken, LeftBehind, MakerKind
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
    maker_kind: MakerKind = Field(
        description="Who was shown the text that opens now: `person`, `service`, `admin`; empty where nobody noted it."
    )
    maker_user: UUID | None = Field(description="The person; of `service` the one who was shown the token.")
    maker_token: UUID | None = Field(description="The service token.")
    maker_is_gone: bool = Field(
        description="They are no member any more, or the token has ended; the key opens all the same: rotate it."
    )

    @classmethod
    def of(cls, key: ApiKey) -> "KeyOut":
        return cls(**key.model_dump(exclude={"scopes"}), scopes=list(key.scopes))


class NewKeyOut(KeyOut):
    key: str = Field(description="The key itself; shown in this answer only.")

    @classmethod
    def with_text(cls, key: ApiKey, text: str) -> "NewKeyOut":
        return cls(**KeyOut.of(key).model_dump(), key=text)


class KnownKeyOut(Reply):
    id: UUID
    project_id: UUID
    name: str
    preview: str = Field(description="The last four characters.")
    is_primary: bool
    old_text_only: bool = Field(description="Only the text before the last rotation, for what is left of its grace.")

    @classmethod
    def of(cls, key: KnownKey) -> "KnownKeyOut":
        return cls(**key.model_dump())


class KnownTokenOut(Reply):
    id: UUID
    name: str
    preview: str = Field(description="The last four characters.")
    old_text_only: bool = Field(description="Only the text before the last rotation, for what is left of its grace.")

    @classmethod
    def of(cls, token: KnownToken) -> "KnownTokenOut":
        return cls(**token.model_dump())


class LeftBehindOut(Reply):
    keys: list[KnownKeyOut] = Field(description="Project keys whose text they were shown, of all projects.")
    service_tokens: list[KnownTokenOut] = Field(description="Service tokens whose text they were shown.")
    ended: bool = Field(description="`withKeys`: these have ended too. Otherwise they go on: rotate or revoke them.")

    @classmethod
    def of(cls, left: LeftBehind) -> "LeftBehindOut":
        return cls(
            keys=[KnownKeyOut.of(key) for key in left.keys],
            service_tokens=[KnownTokenOut.of(token) for token in left.tokens],
            ended=left.ended,
        )
