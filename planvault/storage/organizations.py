"""Organisations across the installation, over a pool of the platform's role."""

from __future__ import annotations

import asyncpg

from models.ids import OrgId
from models.organizations import OrganizationSummary
from models.tenants import OrgScope
from planvault.errors import NotFound
from planvault.storage.pool import Pool, transaction
from planvault.storage.queries import load
from planvault.storage.tenancy import stepped_into
from planvault.storage.tenants import Witness

_SQL = load("planvault.storage", "sql/organizations.sql")


class Organizations:
    def __init__(self, platform: Pool) -> None:
        """`platform`: a pool of the role PLATFORM; a tenant's sees one organisation at a time."""
        self._pool = platform

    async def page(self, after: OrgId | None, limit: int) -> list[OrganizationSummary]:
        """Oldest first, the deleted ones that can be restored included."""
        return [_summary(row) for row in await self._pool.fetch(_SQL["page"], after, limit)]

    async def get(self, org_id: OrgId) -> OrganizationSummary:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["one"], org_id)
        if row is None:
            raise NotFound("There is no such organisation")
        return _summary(row)

    async def set_quota(self, scope: OrgScope, keys_per_project: int, witness: Witness) -> None:
        """How many scoped keys, 0 to 10,000, each project may have; `witness` writes it down. Raises NotFound."""
        async with transaction(self._pool) as connection:
            if await connection.fetchval(_SQL["set_quota"], scope.org_id, keys_per_project) is None:
                raise NotFound("There is no such organisation")
            async with stepped_into(connection, scope):
                await witness(connection)

    async def take_back(self, scope: OrgScope) -> None:
        """One that was made, and whose log could not begin: it is not there any more. One that has a log stays."""
        async with transaction(self._pool) as connection:
            await connection.execute(_SQL["take_back"], scope.org_id)


def _summary(row: asyncpg.Record) -> OrganizationSummary:
    return OrganizationSummary.model_validate(dict(row))
