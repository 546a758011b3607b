"""A row of the chain, and the bytes that are hashed. docs/audit.md says the same; a format never changes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

NOTHING = bytes(32)
"""The hash before an organisation's first row."""

SALT_BYTES = 32
_ROW = b"planvault/audit/row/1"
_DETAILS = b"planvault/audit/details/1"
_SALTED = b"\x01"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Details:
    """What a row says, as it was written. `salt`: None in rows from before the chain, whose details have no digest."""

    salt: bytes | None
    text: str  # JSON

    def digest(self) -> bytes | None:
        return None if self.salt is None else details_digest(self.salt, self.text)


@dataclass(frozen=True, slots=True)
class ChainedRow:
    """`details`: None where they were left out of what is verified; `erased`: where they are gone for good.

    `unreadable`: they are there, and do not open.
    """

    seq: int
    id: UUID
    at: datetime
    action: str
    project_id: UUID | None
    session_id: UUID | None
    run_id: UUID | None
    details_digest: bytes | None
    prev_hash: bytes
    hash: bytes
    details: Details | None = None
    erased: bool = False
    unreadable: bool = False


def row_hash(org_id: UUID, before: bytes, row: ChainedRow) -> bytes:
    """SHA-256 over the row's plain columns, the digest of its details, and the hash `before` it."""
    action = row.action.encode()
    return hashlib.sha256(
        b"".join(
            (
                _ROW,
                before,
                org_id.bytes,
                row.seq.to_bytes(8, "big", signed=True),
                row.id.bytes,
                microseconds(row.at).to_bytes(8, "big", signed=True),
                _optional(None if row.project_id is None else row.project_id.bytes),
                _optional(None if row.session_id is None else row.session_id.bytes),
                _optional(None if row.run_id is None else row.run_id.bytes),
                len(action).to_bytes(4, "big"),
                action,
                _optional(row.details_digest),
            )
        )
    ).digest()


def details_digest(salt: bytes, text: str) -> bytes:
    """Says nothing of the text to whoever lacks the salt, which is erased with the text."""
    return hashlib.sha256(_DETAILS + salt + text.encode()).digest()


def pack_details(text: bytes) -> tuple[bytes, bytes]:
    """JSON with a fresh salt, as it is encrypted; and the digest of both."""
    salt = os.urandom(SALT_BYTES)
    return _SALTED + salt + text, hashlib.sha256(_DETAILS + salt + text).digest()


def unpack_details(plaintext: bytes) -> Details:
    """What `pack_details` packed. Rows from before the chain hold plain JSON: they begin with a brace."""
    if plaintext[:1] != _SALTED:
        return Details(None, plaintext.decode())
    return Details(plaintext[1 : 1 + SALT_BYTES], plaintext[1 + SALT_BYTES :].decode())


def microseconds(at: datetime) -> int:
    """Since 1970-01-01T00:00:00Z, without leap seconds, as Postgres counts."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _optional(value: bytes | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + value
