"""Organisations' data keys, unwrapped and kept in memory for a short while."""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from models.ids import OrgId, TokenId
from planvault.crypto.committing import KEY_BYTES
from planvault.crypto.envelope import DataKey, EnvelopeCipher
from planvault.crypto.kek import KeyPlace, KeyWrapper, WrappedKey
from planvault.crypto.kept import Kept
from planvault.crypto.providers import KeyProviders
from planvault.errors import PlanVaultError, Unavailable
from planvault.ports import Ids

ORG = "org"
HMAC = "hmac"
USER = "user"
_SIGNALS = b"planvault/v1/signals"
REFRESH_AFTER_S = 30.0
"""A new key version is visible to every process after this time; rotation keeps it pending for longer."""
_MOST_TENANTS = 10_000  # a few hundred bytes each, and their subkeys
_ASK_AGAIN_S = 1.0  # after a provider did not answer
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DataKeyRow:
    """A row of `data_keys`. `generation`: of the organisation's rotations."""

    place: KeyPlace
    wrapped: WrappedKey
    status: str = "active"
    generation: int = 1


@dataclass(frozen=True, slots=True)
class TenantKeys:
    dek_wrap: str  # organizations.dek_wrap
    rows: Sequence[DataKeyRow]


class DataKeyRows(Protocol):
    """Where wrapped keys are kept. planvault.storage.keys implements it."""

    async def load(self, org_id: OrgId) -> TenantKeys:
        """The organisation's own keys (purposes `org` and `hmac`) that are not destroyed. Raises NotFound."""
        ...

    async def add(self, rows: Sequence[DataKeyRow], provider: str | None = None) -> None:
        """Insert; a row whose (organisation, purpose, version) exists is left out: the first writer wins.

        `provider`: who wrapped them, where they are the organisation's first.
        """
        ...


@dataclass(slots=True)
class Tenant:
    """What is known of one organisation. `keys`: every key of its own, unwrapped."""

    cipher: EnvelopeCipher
    keys: dict[UUID, DataKey]
    hmac_key: bytes
    generation: int  # of the key that seals
    loaded_at: float
    hmac_keys: tuple[bytes, ...] = ()  # every version that is not destroyed: () while one cannot be had


class TenantKeyring:
    """Organisations' ciphers. The cipher of one is the same object for as long as the process keeps it."""

    def __init__(
        self,
        rows: DataKeyRows,
        wrapper: KeyWrapper | KeyProviders,
        ids: Ids,
        *,
        elapsed: Callable[[], float] = monotonic,
        most: int = _MOST_TENANTS,
    ) -> None:
        self._rows = rows
        self._providers = wrapper if isinstance(wrapper, KeyProviders) else KeyProviders.only(wrapper)
        self._ids = ids
        self._elapsed = elapsed
        self._tenants: Kept[OrgId, Tenant] = Kept(most)
        self._away: Kept[OrgId, tuple[float, str]] = Kept(most)
        self._nobodys_key = os.urandom(KEY_BYTES)

    async def cipher(self, org_id: OrgId) -> EnvelopeCipher:
        """The organisation's cipher, its data key made the first time. Raises NotFound, DecryptionFailed."""
        return (await self.tenant(org_id)).cipher

    async def pseudonym(self, org_id: OrgId, external_user_id: str) -> bytes:
        """A stable 32-byte stand-in for a user of the tenant's: HMAC-SHA256 under a key of its own."""
        key = (await self.tenant(org_id)).hmac_key
        return hmac.digest(key, external_user_id.encode(), "sha256")

    async def pseudonyms(self, org_id: OrgId, external_user_id: str) -> tuple[bytes, ...]:
        """The user's stand-ins under every key of pseudonyms that there is: all by which rows may know the user.

        Raises Unavailable while one of those keys cannot be had.
        """
        keys = (await self.tenant(org_id)).hmac_keys
        if not keys:
            raise Unavailable("The key provider is away: a key of pseudonyms cannot be had now.")
        return tuple(hmac.digest(key, external_user_id.encode(), "sha256") for key in keys)

    async def signal_secret(self, org_id: OrgId | None, token_id: TokenId) -> str:
        """43 URL-safe characters for a signal's token, by HKDF-SHA256 (RFC 5869) from the organisation's HMAC key.

        HKDF takes the key as its message and a label of ours as its key, so no pseudonym can be such a secret. For an
        unknown token (None) it comes from a key that lives as long as this process, by the same way.
        """
        key = self._nobodys_key if org_id is None else (await self.tenant(org_id)).hmac_key
        derived = HKDF(SHA256(), length=KEY_BYTES, salt=_SIGNALS, info=token_id.bytes).derive(key)
        return urlsafe_b64encode(derived).rstrip(b"=").decode()

    async def tenant(self, org_id: OrgId) -> Tenant:
        """Not older than REFRESH_AFTER_S. One organisation waits for its own look-up only."""
        tenant = self._tenants.get(org_id)
        if tenant is not None and self._elapsed() - tenant.loaded_at < REFRESH_AFTER_S:
            return tenant
        async with self._tenants.lock(org_id):
            tenant = self._tenants.get(org_id)
            if tenant is None or self._elapsed() - tenant.loaded_at >= REFRESH_AFTER_S:
                tenant = await self._loaded(org_id, tenant)
                self._tenants.put(org_id, tenant)
        return tenant

    async def _loaded(self, org_id: OrgId, before: Tenant | None) -> Tenant:
        """As `_load`. Those who waited behind a provider that is away get its answer, and do not each wait again."""
        away = self._away.get(org_id)
        if away is not None and self._elapsed() - away[0] < _ASK_AGAIN_S:
            raise Unavailable(away[1])
        try:
            return await self._load(org_id, before)
        except Unavailable as fault:
            self._away.put(org_id, (self._elapsed(), fault.detail))
            raise

    def forget(self, org_id: OrgId) -> None:
        """Read the organisation's keys again at the next call."""
        self._tenants.forget(org_id)

    async def _load(self, org_id: OrgId, before: Tenant | None) -> Tenant:
        started = self._elapsed()
        found = await self._rows_of(org_id)
        keys, missing = await self._unwrapped(found, before.keys if before else {})
        org_rows = [row for row in found.rows if row.place.purpose == ORG]
        readers = {row.place.key_id: keys[row.place.key_id] for row in org_rows if row.place.key_id in keys}
        writer = newest_active([row for row in org_rows if row.place.key_id in keys])
        hmac_rows = [row for row in found.rows if row.place.purpose == HMAC and row.place.key_id in keys]
        hmac_id = newest_active(hmac_rows).place.key_id
        whole = not any(row.place.purpose == HMAC and row.place.key_id in missing for row in found.rows)
        hmac_keys = tuple(keys[row.place.key_id].material for row in hmac_rows) if whole else ()
        if before is None:
            cipher = EnvelopeCipher(org_id, readers, writer.place.key_id)
            return Tenant(cipher, keys, keys[hmac_id].material, writer.generation, started, hmac_keys)
        before.cipher.use_keys(readers, writer.place.key_id, missing)
        before.keys, before.hmac_key, before.generation = keys, keys[hmac_id].material, writer.generation
        before.hmac_keys = hmac_keys
        before.loaded_at = started
        return before

    async def _unwrapped(
        self, found: TenantKeys, known: dict[UUID, DataKey]
    ) -> tuple[dict[UUID, DataKey], frozenset[UUID]]:
        """Every key, and those that the provider did not give now.

        A key's material never changes, so a refresh asks the provider for new keys only. Where it is away, a tenant
        whose keys are known works on: what a new key sealed meanwhile is unavailable, not lost.
        """
        keys: dict[UUID, DataKey] = {}
        missing: set[UUID] = set()
        for row in found.rows:
            key_id = row.place.key_id
            try:
                keys[key_id] = known.get(key_id) or await self._unwrap(found.dek_wrap, row)
            except PlanVaultError as fault:
                if not known or not fault.retryable:
                    raise
                missing.add(key_id)
                _log.warning("keys.provider_away", org_id=str(row.place.org_id), key_id=str(key_id), cause=fault.detail)
        return keys, frozenset(missing)

    async def _rows_of(self, org_id: OrgId) -> TenantKeys:
        tenant = await self._rows.load(org_id)
        missing = {ORG, HMAC} - {row.place.purpose for row in tenant.rows}
        if not missing:
            return tenant
        # The first keys decide who wraps this organisation's; later ones go with those that are there.
        provider = tenant.dek_wrap if tenant.rows else self._providers.primary
        # Two processes may do this at once: the database keeps the first rows, and both read those.
        await self._rows.add([await self._make(org_id, purpose, provider) for purpose in sorted(missing)], provider)
        return await self._rows.load(org_id)

    async def _make(self, org_id: OrgId, purpose: str, provider: str) -> DataKeyRow:
        place = KeyPlace(org_id, purpose, self._ids.new(), version=1)
        return DataKeyRow(place, await self._providers.wrap(provider, os.urandom(KEY_BYTES), place))

    async def _unwrap(self, provider: str, row: DataKeyRow) -> DataKey:
        material = await self._providers.unwrap(provider, row.wrapped, row.place)
        return DataKey(row.place.key_id, row.place.version, material)


def newest_active(rows: Sequence[DataKeyRow]) -> DataKeyRow:
    """The one that seals. Raises Unavailable where there is none."""
    active = [row for row in rows if row.status == "active"]
    if not active:
        raise Unavailable("The organisation has no active data key; a rotation or an erasure was left half done.")
    return max(active, key=lambda row: row.place.version)
