"""Organisations and projects, with their settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from models.ids import OrgId, ProjectId
from models.policies import OrgSettings, ProjectSettings
from models.tenants import Organization, OrgScope, Project, ProjectScope
from planvault.errors import Conflict, FieldError, InvalidInput, NotFound
from planvault.ports import Ids
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped, within

_SQL = load("planvault.storage", "sql/tenants.sql")
_LONGEST_NAME = 200

Witness: TypeAlias = "Callable[[Connection], Awaitable[None]]"
"""Writes down that something changed, in the transaction of the change."""


def checked_name(name: str) -> str:
    """A name that people read: 1 to 200 printable characters, no blanks around it. Raises InvalidInput."""
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
        detail = f"must be 1 to {_LONGEST_NAME} printable characters without blanks around them"
        raise InvalidInput("The name is not valid", errors=(FieldError("/name", detail),))
    return name


class Tenants:
    def __init__(self, pool: Pool, ids: Ids) -> None:
        self._pool = pool
        self._ids = ids

    async def create_organization(self, name: str, settings: OrgSettings | None = None) -> Organization:
        """Raises InvalidInput for a name that nobody could read."""
        values = (OrgId(self._ids.new()), checked_name(name), (settings or OrgSettings()).model_dump(mode="json"))
        db = scoped(self._pool, OrgScope(org_id=values[0]))
        return _organization(await db.fetchrow(_SQL["insert_organization"], *values))

    async def organization(self, scope: OrgScope, db: Queryable | None = None) -> Organization:
        """Raises NotFound. `db` is the caller's open transaction."""
        return _organization(await (db or scoped(self._pool, scope)).fetchrow(_SQL["organization"], scope.org_id))

    async def change_organization(
        self, scope: OrgScope, change: Callable[[OrgSettings], OrgSettings], witness: Witness | None = None
    ) -> OrgSettings:
        """Apply `change` to the settings under a lock, so that no other change is lost. Raises NotFound."""
        async with within(self._pool, scope) as connection:
            row = await connection.fetchrow(_SQL["lock_organization"], scope.org_id)
            settings = change(_organization(row).settings)
            await connection.execute(
                _SQL["store_organization_settings"], scope.org_id, settings.model_dump(mode="json")
            )
            if witness is not None:
                await witness(connection)
        return settings

    async def create_project(
        self, scope: OrgScope, name: str, settings: ProjectSettings | None = None, db: Queryable | None = None
    ) -> Project:
        """Raises InvalidInput, Conflict for a name that the organisation has, NotFound for an unknown organisation.

        `db` is the caller's open transaction.
        """
        db = scoped(self._pool, scope) if db is None else db
        values = (
            ProjectId(self._ids.new()),
            checked_name(name),
            (settings or ProjectSettings()).model_dump(mode="json"),
        )
        try:
            row = await db.fetchrow(_SQL["insert_project"], scope.org_id, *values)
        except asyncpg.UniqueViolationError as error:
            raise Conflict(f"The organisation has a project named {name!r}") from error
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("There is no such organisation") from error
        return _project(row)

    async def project(self, scope: ProjectScope, db: Queryable | None = None) -> Project:
        """Raises NotFound, for a project of another organisation as well. `db` is the caller's open transaction."""
        db = scoped(self._pool, scope) if db is None else db
        return _project(await db.fetchrow(_SQL["project"], scope.org_id, scope.project_id))

    async def projects(self, scope: OrgScope) -> list[Project]:
        return [_project(row) for row in await scoped(self._pool, scope).fetch(_SQL["projects"], scope.org_id)]

    async def change_project(
        self,
        scope: ProjectScope,
        change: Callable[[ProjectSettings], ProjectSettings],
        witness: Witness | None = None,
    ) -> ProjectSettings:
        """Apply `change` to the settings under a lock, so that no other change is lost. Raises NotFound."""
        async with within(self._pool, scope) as connection:
            row = await connection.fetchrow(_SQL["lock_project"], scope.org_id, scope.project_id)
            settings = change(_project(row).settings)
            stored = settings.model_dump(mode="json")
            await connection.execute(_SQL["store_project_settings"], scope.org_id, scope.project_id, stored)
            if witness is not None:
                await witness(connection)
        return settings


def _organization(row: asyncpg.Record | None) -> Organization:
    if row is None:
        raise NotFound("There is no such organisation")
    return Organization.model_validate(dict(row))


def _project(row: asyncpg.Record | None) -> Project:
    if row is None:
        raise NotFound("There is no such project in this organisation")
    return Project.model_validate(dict(row))
