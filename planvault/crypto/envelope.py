"""The envelope: how every encrypted column looks. `docs/encryption.md` describes it byte by byte.

    format (1) ‖ key id (16) ‖ key version (4, big-endian) ‖ nonce (12) ‖ commitment (32) ‖ ciphertext ‖ tag (16)

The key id names a row of `data_keys`, so a reader needs nothing but the envelope and the place that it came from.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from models.ids import OrgId
from planvault.crypto.committing import OVERHEAD, CommittingKey
from planvault.errors import DecryptionFailed, Unavailable
from planvault.ports import Seal

FORMAT = 1
_HEADER = struct.Struct(">B16sI")
ENVELOPE_OVERHEAD = _HEADER.size + OVERHEAD  # 81 bytes more than the plaintext
_SUBKEY_INFO = b"planvault/v1/subkey"
_SUBKEYS_CACHED = 4_096


class Header(NamedTuple):
    key_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class DataKey:
    """An unwrapped data key. `repr` never shows the material."""

    id: UUID
    version: int
    material: bytes

    def __repr__(self) -> str:
        return f"DataKey(id={self.id}, version={self.version})"


def read_header(envelope: bytes) -> Header:
    """Which key sealed this. Raises DecryptionFailed for what is not an envelope, or of a format we do not know."""
    if len(envelope) < ENVELOPE_OVERHEAD:
        raise DecryptionFailed("The stored value is shorter than any envelope; it was cut or is not one.")
    form, key_id, version = _HEADER.unpack_from(envelope)
    if form != FORMAT:
        raise DecryptionFailed(f"Envelope format {form} is unknown to this build (it knows {FORMAT}).")
    return Header(UUID(bytes=key_id), version)


def associated_data(header: bytes, org_id: OrgId, place: Seal) -> bytes:
    """`header ‖ org (16) ‖ table ‖ row ‖ column`, every text behind its length, so that no two places spell alike."""
    return b"".join((header, org_id.bytes, _name(place.table), _text(place.row), _name(place.column)))


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(4, "big") + raw


_name = lru_cache(maxsize=256)(_text)  # tables and columns: a few, met with every value


class EnvelopeCipher:
    """Implements the OrgCipher port for one organisation's data keys.

    `use_keys` swaps the keys under a live cipher, so holders see a rotation without asking again.
    """

    def __init__(self, org_id: OrgId, keys: Mapping[UUID, DataKey], writer: UUID) -> None:
        self._org_id = org_id
        self._keys: dict[int, DataKey] = {}  # by the integer of the id: a UUID's own hash is Python
        self._subkey = lru_cache(maxsize=_SUBKEYS_CACHED)(self._derive)
        self.use_keys(keys, writer)

    def use_keys(self, keys: Mapping[UUID, DataKey], writer: UUID, missing: Collection[UUID] = ()) -> None:
        """`keys` open, by id; `writer` is the one that seals. Subkeys of a key that is gone are forgotten.

        `missing`: keys that there are, but could not be unwrapped now.
        """
        known, self._keys = self._keys, {key_id.int: key for key_id, key in keys.items()}
        self._missing = frozenset(missing)
        key = self._keys[writer.int]
        # Header and key as one value: threads seal while this runs, and an envelope of two keys never opens.
        self._writer = _HEADER.pack(FORMAT, key.id.bytes, key.version), key.id.int
        if known.keys() - self._keys.keys():
            self._subkey.cache_clear()

    def seal(self, plaintext: bytes, place: Seal) -> bytes:
        header, key_id = self._writer
        key = self._subkey(key_id, place.subkey)
        return header + key.seal(plaintext, associated_data(header, self._org_id, place), nonce=os.urandom(12))

    def open(self, envelope: bytes, place: Seal) -> bytes:
        """Raises DecryptionFailed where the envelope is another tenant's, another place's, or was changed.

        Raises Unavailable for a key that the provider has not given yet.
        """
        named = read_header(envelope)
        known = self._keys.get(named.key_id.int)
        if known is None and named.key_id in self._missing:
            raise Unavailable("The key provider is away: a value sealed with a new data key cannot be read now.")
        if known is None or known.version != named.version:
            raise DecryptionFailed("The stored value names a data key that this organisation does not have.")
        header, sealed = envelope[: _HEADER.size], envelope[_HEADER.size :]
        key = self._subkey(named.key_id.int, place.subkey)
        return key.open(sealed, associated_data(header, self._org_id, place))

    def has(self, key_id: UUID) -> bool:
        return key_id.int in self._keys

    def _derive(self, key_id: int, subkey: str) -> CommittingKey:
        key = self._keys[key_id]
        info = _SUBKEY_INFO + self._org_id.bytes + key.version.to_bytes(4, "big") + subkey.encode()
        return CommittingKey(key.material, salt=key.id.bytes, info=info)
