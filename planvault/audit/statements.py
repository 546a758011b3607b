"""What is signed about a chain: its head, a segment that retention took away, the key that signs next.

Ed25519 (RFC 8032) over bytes that docs/audit.md gives field by field. Public keys are 32 bytes, signatures 64.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from planvault.audit.record import microseconds

_HEAD = b"planvault/audit/head/1"
_SEGMENT = b"planvault/audit/segment/1"
_KEY = b"planvault/audit/key/1"


@dataclass(frozen=True, slots=True)
class Head:
    """At `at` the chain of `org_id` ended with row `seq`, whose hash was `hash`; 0 and zeros: it was empty."""

    org_id: UUID
    seq: int
    hash: bytes
    at: datetime

    def message(self) -> bytes:
        return _HEAD + self.org_id.bytes + _int(self.seq) + self.hash + _int(microseconds(self.at))


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows `first_seq` to `last_seq` were pruned at `at`; the chain goes on behind `last_hash`."""

    org_id: UUID
    first_seq: int
    last_seq: int
    prev_hash: bytes
    last_hash: bytes
    at: datetime

    def message(self) -> bytes:
        places = _int(self.first_seq) + _int(self.last_seq)
        return _SEGMENT + self.org_id.bytes + places + self.prev_hash + self.last_hash + _int(microseconds(self.at))


@dataclass(frozen=True, slots=True)
class KeyIntroduction:
    """From `at` on `public_key` signs for `org_id`; `introduced_by` is the key before it, None for the first."""

    org_id: UUID
    version: int
    public_key: bytes
    at: datetime
    introduced_by: bytes | None
    signature: bytes | None

    def message(self) -> bytes:
        return _KEY + self.org_id.bytes + _int(self.version) + self.public_key + _int(microseconds(self.at))


class Statement(Protocol):
    def message(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SignedHead:
    head: Head
    public_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedSegment:
    segment: Segment
    public_key: bytes
    signature: bytes


class SigningKey:
    """An Ed25519 private key; `seed` are its 32 secret bytes."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, statement: Statement) -> bytes:
        return self._key.sign(statement.message())

    def signed_head(self, head: Head) -> SignedHead:
        return SignedHead(head, self.public_key, self.sign(head))


def is_signed(statement: Statement, public_key: bytes, signature: bytes) -> bool:
    """Whether the signature is that key's over that statement."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement.message())
    except (InvalidSignature, ValueError):  # ValueError: no 32 bytes
        return False
    return True


def _int(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)
