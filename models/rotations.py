"""Rotation of an organisation's data keys, as it is told."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.base import Frozen
from models.ids import OrgId


class RotationState(StrEnum):
    """In this order."""

    PREPARING = "preparing"  # the organisation's new key is being made
    PENDING = "pending"  # every process is reading it
    RENEWING = "renewing"  # it seals; the external users' new keys are being made under it
    SPREADING = "spreading"  # every process is reading those
    DRAINING = "draining"  # all new keys seal; who still seals with an old one is finishing
    ENCRYPTING = "encrypting"  # old keys only open; what they sealed is sealed anew
    COMPLETED = "completed"


class Rotation(Frozen):
    """`looked_at`, `reencrypted`: values so far. `unreadable`: some did not open, so their old key was kept."""

    id: UUID
    org_id: OrgId
    generation: int
    state: RotationState
    reason: str
    created_at: datetime
    entered_at: datetime
    finished_at: datetime | None
    looked_at: int
    reencrypted: int
    passes: int
    unreadable: int
    error: str | None


class KeyCount(Frozen):
    """How many data keys of one purpose and generation have one status."""

    purpose: str
    generation: int
    status: str
    keys: int
    since: datetime
