"""Ids of audit rows: made from the decision, so that it has one row however often it is written."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from models.ids import SessionId

_RANDOM = (0xFFF << 64) | ((1 << 62) - 1)  # the bits of a version-7 UUID that are neither time, version nor variant


def audit_id(session_id: SessionId, seq: int, position: int, now: datetime) -> UUID:
    """A version-7 UUID (RFC 9562): the time in milliseconds, and a hash where another would have random bits.

    `seq` is the session's newest event before the decision (each that has rows has events too, so no two begin at the
    same), `position` the row's place among the decision's.
    """
    digest = hashlib.sha256(f"{session_id}|{seq}|{position}".encode()).digest()
    random = int.from_bytes(digest[:10], "big") & _RANDOM
    return UUID(int=(int(now.timestamp() * 1_000) << 80) | (7 << 76) | (2 << 62) | random)
