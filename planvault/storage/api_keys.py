"""Project keys: only their SHA-256 and last four characters are stored."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg

from models.access import ALL_OF_PROJECT, Maker
from models.ids import KeyId, ServiceTokenId, UserId
from models.tenants import ApiKey, ProjectScope
from planvault.auth.authenticator import KeyRecord
from planvault.auth.keys import NewKey, new_project_key
from planvault.auth.scopes import check_scopes
from planvault.errors import Conflict, FieldError, InvalidInput, NotFound, QuotaReached
from planvault.ports import Ids
from planvault.storage.key_makers import hold_maker
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped, within
from planvault.storage.tenants import checked_name

_SQL = load("planvault.storage", "sql/api_keys.sql")
LONGEST_GRACE = timedelta(days=7)
NO_GRACE = timedelta(0)
_NOBODY = Maker()


class ApiKeys:
    """Implements planvault.auth.authenticator.KeyDirectory, and what the Admin API does with keys."""

    def __init__(self, pool: Pool, ids: Ids) -> None:
        self._pool = pool
        self._ids = ids

    async def find(self, sha256: bytes) -> KeyRecord | None:
        row = await self._pool.fetchrow(_SQL["find"], sha256)
        if row is None:
            return None
        found = KeyRecord(
            row["id"],
            row["org_id"],
            row["project_id"],
            row["name"],
            tuple(row["scopes"]),
            row["ends_at"],
            row["ends_in_s"],
        )
        if row["is_stale"]:
            scope = ProjectScope(org_id=found.org_id, project_id=found.project_id)
            await scoped(self._pool, scope).execute(_SQL["touch"], scope.org_id, scope.project_id, found.id)
        return found

    async def create(
        self,
        scope: ProjectScope,
        name: str,
        scopes: list[str],
        db: Connection | None = None,
        *,
        expires_at: datetime | None = None,
        maker: Maker = _NOBODY,
    ) -> tuple[ApiKey, NewKey]:
        """A scoped key and its text, which exists only in this answer. `expires_at`: timezone-aware; None: never.

        `db`, here and below, is the caller's open transaction; `maker` is shown the text. Raises InvalidInput,
        NotFound, QuotaReached, and NotAuthenticated where the maker is a token that has ended.
        """
        allowed = check_scopes(scopes)
        if db is not None:
            return await self._create(db, scope, name, allowed, expires_at, maker)
        async with within(self._pool, scope) as connection:
            return await self._create(connection, scope, name, allowed, expires_at, maker)

    async def create_primary(
        self, scope: ProjectScope, name: str = "primary", db: Connection | None = None, *, maker: Maker = _NOBODY
    ) -> tuple[ApiKey, NewKey]:
        """The project's one key with every scope; it never expires. Raises Conflict where there is one already."""
        if db is None:
            async with within(self._pool, scope) as connection:
                return await self.create_primary(scope, name, connection, maker=maker)
        await hold_maker(db, scope, maker)
        await db.execute(_SQL["hold"], scope.org_id, scope.project_id)  # whoever deletes the project meanwhile
        return await self._insert(db, scope, name, (ALL_OF_PROJECT,), maker, is_primary=True)

    async def rotate(
        self,
        scope: ProjectScope,
        key_id: KeyId,
        db: Connection | None = None,
        *,
        grace: timedelta = NO_GRACE,
        maker: Maker = _NOBODY,
    ) -> tuple[ApiKey, NewKey]:
        """A new text under the same id and scopes; the old one opens for `grace` more, without it for the cache time.

        Raises NotFound, also for a key that was revoked or has expired; InvalidInput for a grace that is too long.
        """
        if not NO_GRACE <= grace <= LONGEST_GRACE:
            fault = FieldError("/graceSeconds", f"must be between 0 and {LONGEST_GRACE.total_seconds():.0f}")
            raise InvalidInput("The grace period is not valid", errors=(fault,))
        if db is None:
            async with within(self._pool, scope) as connection:
                return await self.rotate(scope, key_id, connection, grace=grace, maker=maker)
        await hold_maker(db, scope, maker)
        key = new_project_key()
        values = (scope.org_id, scope.project_id, key_id, key.sha256, key.preview, grace.total_seconds())
        return _api_key(await db.fetchrow(_SQL["rotate"], *values, *_shown_to(maker))), key

    async def revoke(self, scope: ProjectScope, key_id: KeyId, db: Queryable | None = None) -> ApiKey:
        """For good, with the text before a rotation; repeating it changes nothing. Raises NotFound."""
        place = (scope.org_id, scope.project_id, key_id)
        row = await (db or scoped(self._pool, scope)).fetchrow(_SQL["revoke"], *place)
        if row is None:
            raise NotFound("There is no such key in this project")
        return _api_key(row)

    async def get(self, scope: ProjectScope, key_id: KeyId, db: Queryable | None = None) -> ApiKey:
        """Raises NotFound."""
        place = (scope.org_id, scope.project_id, key_id)
        return _api_key(await (db or scoped(self._pool, scope)).fetchrow(_SQL["one"], *place))

    async def all(self, scope: ProjectScope) -> list[ApiKey]:
        rows = await scoped(self._pool, scope).fetch(_SQL["all"], scope.org_id, scope.project_id)
        return [_api_key(row) for row in rows]

    async def _create(
        self,
        connection: Connection,
        scope: ProjectScope,
        name: str,
        scopes: tuple[str, ...],
        expires_at: datetime | None,
        maker: Maker,
    ) -> tuple[ApiKey, NewKey]:
        await hold_maker(connection, scope, maker)
        await connection.execute(_SQL["hold"], scope.org_id, scope.project_id)
        room = await connection.fetchval(_SQL["room"], scope.org_id, scope.project_id)
        if room is None:
            raise NotFound("There is no such project in this organisation")
        if room < 1:
            raise QuotaReached("The project has all the keys that it may have: revoke one that nobody uses")
        return await self._insert(connection, scope, name, scopes, maker, is_primary=False, expires_at=expires_at)

    async def _insert(
        self,
        db: Queryable,
        scope: ProjectScope,
        name: str,
        scopes: tuple[str, ...],
        maker: Maker,
        *,
        is_primary: bool,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, NewKey]:
        key = new_project_key()
        values = (self._ids.new(), checked_name(name), key.sha256, key.preview, list(scopes), is_primary, expires_at)
        try:
            row = await db.fetchrow(_SQL["create"], scope.org_id, scope.project_id, *values, *_shown_to(maker))
        except asyncpg.UniqueViolationError as error:
            raise Conflict("The project has a primary key; rotate it instead") from error
        if row is None:
            raise NotFound("There is no such project in this organisation")
        return _api_key(row), key


def _shown_to(maker: Maker) -> tuple[str, UserId | None, ServiceTokenId | None]:
    return maker.kind.value, maker.user_id, maker.token_id


def _api_key(row: asyncpg.Record | None) -> ApiKey:
    if row is None:
        raise NotFound("There is no such key in this project, or it was revoked or has expired")
    return ApiKey.model_validate(dict(row))
