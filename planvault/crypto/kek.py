"""Key-encryption keys: the port that wraps data keys, and the local keyset file behind it.

A cloud KMS or Vault implements `KeyWrapper` as well; `organizations.dek_wrap` names which one holds for a tenant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from models.ids import OrgId
from planvault.crypto.committing import NONCE_BYTES, CommittingKey
from planvault.crypto.keyset import Keyset, load_or_create
from planvault.errors import DecryptionFailed

_FORMAT = b"\x01"
_KEK_INFO = b"planvault/v1/kek"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """What a wrapped key is: it unwraps as nothing else."""

    org_id: OrgId
    purpose: str  # data_keys.purpose
    key_id: UUID
    version: int

    def associated_data(self) -> bytes:
        purpose = self.purpose.encode()
        return b"".join(
            (
                self.org_id.bytes,
                len(purpose).to_bytes(4, "big"),
                purpose,
                self.key_id.bytes,
                self.version.to_bytes(4, "big"),
            )
        )


@dataclass(frozen=True, slots=True)
class WrappedKey:
    blob: bytes
    wrapped_by: str  # id of the key-encryption key


class KeyWrapper(Protocol):
    @property
    def name(self) -> str:
        """What `organizations.dek_wrap` calls this provider."""
        ...

    async def current(self) -> str:
        """Id of the key-encryption key that `wrap` uses now: what any other wrapped is to be wrapped again."""
        ...

    async def wrap(self, key: bytes, place: KeyPlace) -> WrappedKey:
        """Raises Unavailable where the provider is away or refuses."""
        ...

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        """Raises DecryptionFailed for an unknown KEK, another place, or a changed blob; Unavailable as `wrap` does."""
        ...


class LocalKeyWrapper:
    """Implements KeyWrapper with a keyset file: the first key wraps, all of them unwrap."""

    name = "local"

    def __init__(self, keyset: Keyset) -> None:
        self._primary = keyset.primary
        self._keys: Mapping[str, CommittingKey] = {
            kek_id: CommittingKey(material, salt=b"", info=_KEK_INFO) for kek_id, material in keyset.keys.items()
        }

    @classmethod
    def at(cls, path: Path) -> LocalKeyWrapper:
        """From the keyset file, made on first use. Raises BringUpFailed for a file that others may read."""
        return cls(load_or_create(path))

    async def current(self) -> str:
        return self._primary

    async def wrap(self, key: bytes, place: KeyPlace) -> WrappedKey:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._primary].seal(key, _FORMAT + place.associated_data(), nonce=nonce)
        return WrappedKey(_FORMAT + sealed, self._primary)

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        key = self._keys.get(wrapped.wrapped_by)
        if key is None:
            raise DecryptionFailed(
                f"A data key is wrapped by {wrapped.wrapped_by}, which this keyset does not hold. "
                "Restore the keyset file that belongs to this database."
            )
        if wrapped.blob[:1] != _FORMAT:
            raise DecryptionFailed("A wrapped data key has a format that this build does not know.")
        return key.open(wrapped.blob[1:], _FORMAT + place.associated_data())
