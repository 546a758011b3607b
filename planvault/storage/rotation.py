"""Rotations of data keys: begun and looked at here; `planvault.storage.rotation_steps` takes them on."""

from __future__ import annotations

import asyncpg

from models.rotations import KeyCount, Rotation
from models.tenants import OrgScope
from planvault.errors import NotFound, RotationUnderWay
from planvault.ports import Ids
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/rotation.sql")


class Rotations:
    def __init__(self, pool: Pool, ids: Ids) -> None:
        self._pool = pool
        self._ids = ids

    async def begin(self, connection: Connection, scope: OrgScope, reason: str = "") -> Rotation:
        """In the caller's transaction of the scope. A worker takes it on within seconds.

        Raises RotationUnderWay (an organisation has one at a time), NotFound.
        """
        generation = await connection.fetchval(_SQL["generation"], scope.org_id)
        if await connection.fetchrow(_SQL["open"], scope.org_id) is not None:
            raise RotationUnderWay("The organisation's keys are being rotated. Look at GET …/dek.")
        if generation is None:
            raise NotFound("The organisation has no data keys yet: nothing of it was encrypted so far.")
        row = await connection.fetchrow(_SQL["begin"], scope.org_id, self._ids.new(), generation + 1, reason)
        if row is None:
            raise RotationUnderWay("The organisation's keys are being rotated. Look at GET …/dek.")
        return rotation(row)

    async def newest(self, scope: OrgScope) -> Rotation | None:
        """The rotation that began last, finished or not."""
        async with within(self._pool, scope) as connection:
            row = await connection.fetchrow(_SQL["newest"], scope.org_id)
        return None if row is None else rotation(row)

    async def keys(self, scope: OrgScope) -> list[KeyCount]:
        async with within(self._pool, scope) as connection:
            rows = await connection.fetch(_SQL["key_counts"], scope.org_id)
        return [KeyCount.model_validate(dict(row)) for row in rows]


def rotation(row: asyncpg.Record) -> Rotation:
    return Rotation.model_validate(dict(row))
