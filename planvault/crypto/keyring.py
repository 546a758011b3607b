"""Organisations' data keys, unwrapped and kept in memory for a short while."""

from __future__ import annotations

import asyncio
import hmac
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from models.ids import OrgId, TokenId
from planvault.crypto.committing import KEY_BYTES
from planvault.crypto.envelope import DataKey, EnvelopeCipher
from planvault.crypto.kek import KeyPlace, KeyWrapper, WrappedKey
from planvault.errors import Unavailable
from planvault.ports import Ids

ORG = "org"
HMAC = "hmac"
_SIGNALS = b"planvault/v1/signals"
REFRESH_AFTER_S = 30.0
"""A new key version is visible to every process after this time; rotation keeps it pending for longer."""


@dataclass(frozen=True, slots=True)
class DataKeyRow:
    """A row of `data_keys`."""

    place: KeyPlace
    wrapped: WrappedKey
    status: str = "active"


@dataclass(frozen=True, slots=True)
class TenantKeys:
    dek_wrap: str  # organizations.dek_wrap
    rows: Sequence[DataKeyRow]


class DataKeyRows(Protocol):
    """Where wrapped keys are kept. planvault.storage.keys implements it."""

    async def load(self, org_id: OrgId) -> TenantKeys:
        """The organisation's own keys (purposes `org` and `hmac`), all versions. Raises NotFound."""
        ...

    async def add(self, rows: Sequence[DataKeyRow]) -> None:
        """Insert; a row whose (organisation, purpose, version) exists is left out: the first writer wins."""
        ...


@dataclass(slots=True)
class _Tenant:
    cipher: EnvelopeCipher
    keys: dict[UUID, DataKey]  # every key of the organisation's, unwrapped
    hmac_key: bytes
    loaded_at: float


class TenantKeyring:
    """Implements the Keyring port. The cipher of an organisation is one object for the life of the process."""

    def __init__(
        self, rows: DataKeyRows, wrapper: KeyWrapper, ids: Ids, *, elapsed: Callable[[], float] = monotonic
    ) -> None:
        self._rows = rows
        self._wrapper = wrapper
        self._ids = ids
        self._elapsed = elapsed
        self._tenants: dict[OrgId, _Tenant] = {}
        self._locks: dict[OrgId, asyncio.Lock] = {}
        self._nobodys_key = os.urandom(KEY_BYTES)

    async def cipher(self, org_id: OrgId) -> EnvelopeCipher:
        """The organisation's cipher, its data key made the first time. Raises NotFound, DecryptionFailed."""
        return (await self._tenant(org_id)).cipher

    async def pseudonym(self, org_id: OrgId, external_user_id: str) -> bytes:
        """A stable 32-byte stand-in for a user of the tenant's: HMAC-SHA256 under a key of its own."""
        key = (await self._tenant(org_id)).hmac_key
        return hmac.digest(key, external_user_id.encode(), "sha256")

    async def signal_secret(self, org_id: OrgId | None, token_id: TokenId) -> str:
        """43 URL-safe characters for a signal's token, by HKDF-SHA256 (RFC 5869) from the organisation's HMAC key.

        HKDF takes the key as its message and a label of ours as its key, so no pseudonym can be such a secret. For an
        unknown token (None) it comes from a key that lives as long as this process, by the same way.
        """
        key = self._nobodys_key if org_id is None else (await self._tenant(org_id)).hmac_key
        derived = HKDF(SHA256(), length=KEY_BYTES, salt=_SIGNALS, info=token_id.bytes).derive(key)
        return urlsafe_b64encode(derived).rstrip(b"=").decode()

    async def _tenant(self, org_id: OrgId) -> _Tenant:
        tenant = self._tenants.get(org_id)
        if tenant is not None and self._elapsed() - tenant.loaded_at < REFRESH_AFTER_S:
            return tenant
        async with self._locks.setdefault(org_id, asyncio.Lock()):
            tenant = self._tenants.get(org_id)
            if tenant is None or self._elapsed() - tenant.loaded_at >= REFRESH_AFTER_S:
                tenant = await self._load(org_id, tenant)
                self._tenants[org_id] = tenant
        return tenant

    async def _load(self, org_id: OrgId, before: _Tenant | None) -> _Tenant:
        started = self._elapsed()
        rows = await self._rows_of(org_id)
        known = before.keys if before else {}
        # A key's material never changes, so a refresh costs no call to the KEK provider unless there is a new key.
        keys = {row.place.key_id: known.get(row.place.key_id) or await self._unwrap(row) for row in rows}
        org_rows = [row for row in rows if row.place.purpose == ORG]
        readers = {row.place.key_id: keys[row.place.key_id] for row in org_rows}
        writer = _newest_active(org_rows).place.key_id
        hmac_id = _newest_active([row for row in rows if row.place.purpose == HMAC]).place.key_id
        if before is None:
            return _Tenant(EnvelopeCipher(org_id, readers, writer), keys, keys[hmac_id].material, started)
        before.cipher.use_keys(readers, writer)
        before.keys, before.hmac_key, before.loaded_at = keys, keys[hmac_id].material, started
        return before

    async def _rows_of(self, org_id: OrgId) -> Sequence[DataKeyRow]:
        tenant = await self._rows.load(org_id)
        if tenant.dek_wrap != self._wrapper.name:
            raise Unavailable(
                f"The organisation's keys are wrapped by {tenant.dek_wrap!r}; this process has {self._wrapper.name!r}."
            )
        missing = {ORG, HMAC} - {row.place.purpose for row in tenant.rows}
        if not missing:
            return tenant.rows
        # Two processes may do this at once: the database keeps the first rows, and both read those.
        await self._rows.add([await self._make(org_id, purpose) for purpose in sorted(missing)])
        return (await self._rows.load(org_id)).rows

    async def _make(self, org_id: OrgId, purpose: str) -> DataKeyRow:
        place = KeyPlace(org_id, purpose, self._ids.new(), version=1)
        return DataKeyRow(place, await self._wrapper.wrap(os.urandom(KEY_BYTES), place))

    async def _unwrap(self, row: DataKeyRow) -> DataKey:
        material = await self._wrapper.unwrap(row.wrapped, row.place)
        return DataKey(row.place.key_id, row.place.version, material)


def _newest_active(rows: Sequence[DataKeyRow]) -> DataKeyRow:
    active = [row for row in rows if row.status == "active"]
    if not active:
        raise Unavailable("The organisation has no active data key; a rotation or an erasure was left half done.")
    return max(active, key=lambda row: row.place.version)
