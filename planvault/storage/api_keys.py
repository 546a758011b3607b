"""Project keys: only their SHA-256 and last four characters are stored."""

from __future__ import annotations

import asyncpg

from models.access import ALL_OF_PROJECT
from models.ids import KeyId
from models.tenants import ApiKey, ProjectScope
from planvault.auth.authenticator import KeyRecord
from planvault.auth.keys import NewKey, new_project_key
from planvault.auth.scopes import check_scopes
from planvault.errors import Conflict, NotFound
from planvault.ports import Ids
from planvault.storage.pool import Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenants import checked_name

_SQL = load("planvault.storage", "sql/api_keys.sql")


class ApiKeys:
    """Implements planvault.auth.authenticator.KeyDirectory, and what the Admin API does with keys."""

    def __init__(self, pool: Pool, ids: Ids) -> None:
        self._pool = pool
        self._ids = ids

    async def find(self, sha256: bytes) -> KeyRecord | None:
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(_SQL["find"], sha256)
            if row is None:
                return None
            if row["is_stale"]:
                await connection.execute(_SQL["touch"], row["org_id"], row["project_id"], row["id"])
        return KeyRecord(row["id"], row["org_id"], row["project_id"], row["name"], tuple(row["scopes"]))

    async def create(
        self, scope: ProjectScope, name: str, scopes: list[str], db: Queryable | None = None
    ) -> tuple[ApiKey, NewKey]:
        """A scoped key and its text, which exists only in this answer. Raises InvalidInput, NotFound.

        `db`, here and below, is the caller's open transaction.
        """
        return await self._insert(db, scope, name, check_scopes(scopes), is_primary=False)

    async def create_primary(
        self, scope: ProjectScope, name: str = "primary", db: Queryable | None = None
    ) -> tuple[ApiKey, NewKey]:
        """The project's one key with every scope. Raises Conflict where there is one already."""
        return await self._insert(db, scope, name, (ALL_OF_PROJECT,), is_primary=True)

    async def rotate(self, scope: ProjectScope, key_id: KeyId, db: Queryable | None = None) -> tuple[ApiKey, NewKey]:
        """A new text under the same id and scopes; the old one ends within the cache time. Raises NotFound."""
        key = new_project_key()
        db = self._pool if db is None else db
        row = await db.fetchrow(_SQL["rotate"], scope.org_id, scope.project_id, key_id, key.sha256, key.preview)
        return _api_key(row), key

    async def revoke(self, scope: ProjectScope, key_id: KeyId) -> None:
        """For good; repeating it changes nothing. Raises NotFound."""
        if await self._pool.fetchval(_SQL["revoke"], scope.org_id, scope.project_id, key_id) is None:
            raise NotFound("There is no such key in this project")

    async def all(self, scope: ProjectScope) -> list[ApiKey]:
        return [_api_key(row) for row in await self._pool.fetch(_SQL["all"], scope.org_id, scope.project_id)]

    async def _insert(
        self, db: Queryable | None, scope: ProjectScope, name: str, scopes: tuple[str, ...], *, is_primary: bool
    ) -> tuple[ApiKey, NewKey]:
        key = new_project_key()
        values = (self._ids.new(), checked_name(name), key.sha256, key.preview, list(scopes), is_primary)
        db = self._pool if db is None else db
        try:
            row = await db.fetchrow(_SQL["create"], scope.org_id, scope.project_id, *values)
        except asyncpg.UniqueViolationError as error:
            raise Conflict("The project has a primary key; rotate it instead") from error
        if row is None:
            raise NotFound("There is no such project in this organisation")
        return _api_key(row), key


def _api_key(row: asyncpg.Record | None) -> ApiKey:
    if row is None:
        raise NotFound("There is no such key in this project, or it was revoked")
    return ApiKey.model_validate(dict(row))
