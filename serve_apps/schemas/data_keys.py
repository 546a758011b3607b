"""Data keys and their rotation on the wire. No key material appears anywhere."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.rotations import KeyCount, Rotation, RotationState
from serve_apps.schemas.base import Body, Reply


class RotateDataKeys(Body):
    reason: str = Field(default="", max_length=200, description="Why, for the record.")


class RotationOut(Reply):
    id: UUID
    generation: int = Field(description="Of the keys that it makes; one more than those before.")
    state: RotationState
    reason: str
    created_at: datetime
    entered_at: datetime = Field(description="When it came into its state.")
    finished_at: datetime | None
    looked_at: int = Field(description="Values looked at so far, in all walks.")
    reencrypted: int
    unreadable: int = Field(description="Values that did not open; where there are any, their key is kept.")
    error: str | None = Field(description="Why the last attempt did not go on; it is tried again.")

    @classmethod
    def of(cls, rotation: Rotation) -> "RotationOut":
        return cls.model_validate(rotation.model_dump(exclude={"org_id", "passes"}))


class KeyCountOut(Reply):
    purpose: str = Field(description="org: content; user: content of external users; hmac: pseudonyms.")
    generation: int
    status: str = Field(description="pending: read; active: seals; retired: only opens; destroyed: gone.")
    keys: int
    since: datetime

    @classmethod
    def of(cls, count: KeyCount) -> "KeyCountOut":
        return cls.model_validate(count.model_dump())


class DataKeysOut(Reply):
    keys: list[KeyCountOut]
    rotation: RotationOut | None = Field(description="The one that began last.")
