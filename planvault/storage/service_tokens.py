"""Service tokens of organisations: only their SHA-256 and last four characters are stored."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from models.access import Maker, Role
from models.ids import ServiceTokenId, UserId
from models.service_tokens import ServiceToken
from models.tenants import OrgScope
from planvault.auth.keys import NewKey, new_service_token
from planvault.auth.service_tokens import ServiceTokenRecord
from planvault.errors import Conflict, FieldError, InvalidInput, NotAllowed, NotFound, QuotaReached
from planvault.ports import Ids
from planvault.storage.key_makers import hold_maker
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped
from planvault.storage.tenants import checked_name

_SQL = load("planvault.storage", "sql/service_tokens.sql")
MOST_LIVE = 100
LONGEST_LIFE = timedelta(days=366)
LONGEST_GRACE = timedelta(days=7)
NO_GRACE = timedelta(0)


class ServiceTokens:
    """Implements planvault.auth.service_tokens.ServiceDirectory, and what the Admin API does with service tokens."""

    def __init__(self, pool: Pool, ids: Ids) -> None:
        self._pool = pool
        self._ids = ids

    async def find(self, sha256: bytes) -> ServiceTokenRecord | None:
        row = await self._pool.fetchrow(_SQL["find"], sha256)
        if row is None:
            return None
        found = ServiceTokenRecord(
            row["id"], row["org_id"], row["name"], Role(row["role"]), row["ends_at"], row["ends_in_s"]
        )
        if row["is_stale"]:
            scope = OrgScope(org_id=found.org_id)
            await scoped(self._pool, scope).execute(_SQL["touch"], scope.org_id, found.id)
        return found

    async def create(
        self,
        connection: Connection,
        scope: OrgScope,
        name: str,
        role: Role,
        life: timedelta,
        *,
        by: Role,
        created_by: str,
        shown_to: UserId | None = None,
    ) -> tuple[ServiceToken, NewKey]:
        """A token and its text, which exists only in this answer. `by` is the role of who asks, `created_by` its label,
        `shown_to` the person, where it is one.

        In the caller's transaction of the organisation. Raises InvalidInput, NotAllowed for a role above ADMIN or the
        caller's own, Conflict for a name that a live token has, QuotaReached.
        """
        _check_life(life)
        if role is Role.OWNER or not by.covers(role):
            raise NotAllowed("A service token's role is ADMIN at most, and never above your own")
        await hold_maker(connection, scope, Maker(user_id=shown_to))
        await connection.execute(_SQL["hold"], scope.org_id)
        if await connection.fetchval(_SQL["live"], scope.org_id) >= MOST_LIVE:
            raise QuotaReached(f"The organisation has {MOST_LIVE} service tokens: revoke one that nobody uses")
        token = new_service_token()
        values = (self._ids.new(), checked_name(name), role.value, token.sha256, token.preview, created_by)
        await connection.execute(_SQL["make_way"], scope.org_id, name)
        try:
            row = await connection.fetchrow(_SQL["create"], scope.org_id, *values, life.total_seconds(), shown_to)
        except asyncpg.UniqueViolationError as error:
            raise Conflict(f"The organisation has a service token named {name!r}: rotate or revoke it") from error
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("There is no such organisation") from error
        return _token(row), token

    async def rotate(
        self,
        connection: Connection,
        scope: OrgScope,
        token_id: ServiceTokenId,
        life: timedelta,
        *,
        by: Role,
        grace: timedelta = NO_GRACE,
        shown_to: UserId | None = None,
    ) -> tuple[ServiceToken, NewKey]:
        """A new text under the same id and role, for `life` from now; the old one opens for `grace` more.

        Raises NotFound, also for one that was revoked or has expired; InvalidInput; NotAllowed for one whose role is
        above the caller's: a new text would give it to them.
        """
        _check_life(life)
        if not NO_GRACE <= grace <= LONGEST_GRACE:
            fault = FieldError("/graceSeconds", f"must be between 0 and {LONGEST_GRACE.total_seconds():.0f}")
            raise InvalidInput("The grace period is not valid", errors=(fault,))
        if not by.covers((await self.get(scope, token_id, connection)).role):
            raise NotAllowed("This service token's role is above your own")
        await hold_maker(connection, scope, Maker(user_id=shown_to))
        token = new_service_token()
        values = (token_id, token.sha256, token.preview, life.total_seconds(), grace.total_seconds(), shown_to)
        return _token(await connection.fetchrow(_SQL["rotate"], scope.org_id, *values)), token

    async def revoke(self, connection: Connection, scope: OrgScope, token_id: ServiceTokenId) -> ServiceToken:
        """For good, with the text before a rotation; repeating it changes nothing. Raises NotFound."""
        return _token(await connection.fetchrow(_SQL["revoke"], scope.org_id, token_id))

    async def get(self, scope: OrgScope, token_id: ServiceTokenId, db: Queryable | None = None) -> ServiceToken:
        """Raises NotFound. `db` is the caller's open transaction."""
        return _token(await (db or scoped(self._pool, scope)).fetchrow(_SQL["one"], scope.org_id, token_id))

    async def page(self, scope: OrgScope, before: ServiceTokenId | None, limit: int) -> list[ServiceToken]:
        """Newest first, the revoked and expired ones included."""
        rows = await scoped(self._pool, scope).fetch(_SQL["page"], scope.org_id, before, limit)
        return [_token(row) for row in rows]


def _check_life(life: timedelta) -> None:
    if not timedelta(0) < life <= LONGEST_LIFE:
        fault = FieldError("/expiresInDays", f"must be between 1 and {LONGEST_LIFE.days}")
        raise InvalidInput("The token's time is not valid", errors=(fault,))


def _token(row: asyncpg.Record | None) -> ServiceToken:
    if row is None:
        raise NotFound("There is no such service token in this organisation, or it was revoked or has expired")
    return ServiceToken.model_validate(dict(row))
