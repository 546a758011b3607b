"""Wraps organisations' data keys again: under another provider, or under a new key of the same.

Data keys and everything sealed with them stay as they are. Each organisation is one transaction, all its keys and the
provider's name together: killed anywhere, the next run goes on with those that are left, and readers find either all of
the old or all of the new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from models.ids import OrgId
from models.tenants import OrgScope
from planvault.crypto.kek import KeyPlace, WrappedKey
from planvault.crypto.providers import KeyProviders
from planvault.errors import PlanVaultError
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/rewrap.sql")
_AT_ONCE = 100
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """How many organisations and keys a KEK wraps."""

    provider: str
    kek: str
    organizations: int
    keys: int


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """`failed`: organisations whose keys stayed where they were, and why. `left`: what other KEKs still wrap."""

    organizations: int
    failed: dict[OrgId, str]
    left: tuple[Wrapped, ...]


class Rewrap:
    """`pool`: of the platform."""

    def __init__(self, pool: Pool, providers: KeyProviders) -> None:
        self._pool = pool
        self._providers = providers

    async def wrapped(self) -> tuple[Wrapped, ...]:
        """Which KEKs wrap what."""
        organizations: Counter[tuple[str, str]] = Counter()
        keys: Counter[tuple[str, str]] = Counter()
        async for scope in self._organizations():
            async with within(self._pool, scope) as connection:
                rows = await connection.fetch(_SQL["wrapped"], scope.org_id)
            organizations.update((row["provider"], row["kek"]) for row in rows)
            keys.update({(row["provider"], row["kek"]): row["keys"] for row in rows})
        return tuple(Wrapped(*by, organizations[by], keys[by]) for by in sorted(organizations))

    async def to(self, provider: str, seen: Callable[[OrgId], None] = lambda org_id: None) -> Rewrapped:
        """Everything that another KEK than the provider's current one wraps. Raises Unavailable where that is away.

        An organisation whose keys do not unwrap stays as it is, and is named.
        """
        kek = await self._providers.of(provider).current()
        done, failed = 0, {}
        async for scope in self._organizations():
            try:
                done += await self._one(scope, provider, kek)
            except PlanVaultError as fault:
                failed[scope.org_id] = fault.detail
                _log.warning("rewrap.failed", org_id=str(scope.org_id), cause=fault.detail)
            seen(scope.org_id)
        left = tuple(found for found in await self.wrapped() if (found.provider, found.kek) != (provider, kek))
        return Rewrapped(done, failed, left)

    async def _organizations(self) -> AsyncIterator[OrgScope]:
        after = UUID(int=0)
        while rows := await self._pool.fetch(_SQL["next"], after, _AT_ONCE):
            for row in rows:
                yield OrgScope(org_id=OrgId(row["id"]))
            after = rows[-1]["id"]

    async def _one(self, scope: OrgScope, provider: str, kek: str) -> bool:
        """False: nothing was to be done, or somebody else changed the keys meanwhile and the next run looks again.

        Providers are asked outside the transaction: one that is slow holds nobody's rows.
        """
        async with within(self._pool, scope) as connection:
            before = await connection.fetchval(_SQL["provider"], scope.org_id)
            rows = await connection.fetch(_SQL["keys"], scope.org_id)
        fresh: list[tuple[UUID, WrappedKey, bytes]] = []
        for row in rows:
            if before == provider and row["wrapped_by"] == kek:
                continue
            place = KeyPlace(scope.org_id, row["purpose"], row["id"], row["version"])
            old = WrappedKey(row["wrapped"], row["wrapped_by"])
            material = await self._providers.unwrap(before, old, place)
            wrapped = await self._providers.wrap(provider, material, place)
            if await self._providers.unwrap(provider, wrapped, place) != material:
                raise PlanVaultError(f"The provider {provider!r} does not give back what it was given.")
            fresh.append((row["id"], wrapped, old.blob))
        return bool(fresh) and await self._swap(scope, before, provider, fresh)

    async def _swap(
        self, scope: OrgScope, before: str, provider: str, fresh: Sequence[tuple[UUID, WrappedKey, bytes]]
    ) -> bool:
        async with within(self._pool, scope) as connection:
            # New keys are made under this lock, by the provider that the row names: none can slip in by another.
            if await connection.fetchval(_SQL["hold"], scope.org_id) != before:
                return False
            for key_id, wrapped, old in fresh:
                await connection.fetchval(_SQL["swap"], scope.org_id, key_id, wrapped.blob, wrapped.wrapped_by, old)
            if before != provider:
                known = {key_id for key_id, _, _ in fresh}
                if {row["id"] for row in await connection.fetch(_SQL["keys"], scope.org_id)} - known:
                    raise PlanVaultError("A data key was made meanwhile; run it again.")
                await connection.execute(_SQL["choose"], scope.org_id, provider)
        return True
