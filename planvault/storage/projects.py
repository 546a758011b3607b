"""A project's life after it was made: another name, its end, and the week in which that can be undone."""

from __future__ import annotations

import asyncpg

from models.tenants import DeletedProject, OrgScope, Project, ProjectScope
from planvault.errors import Conflict, NotFound
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped, within
from planvault.storage.tenants import Witness, checked_name

_SQL = load("planvault.storage", "sql/projects.sql")

RESTORABLE_DAYS = 7


class Projects:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rename(self, scope: ProjectScope, name: str, witness: Witness) -> Project:
        """Raises InvalidInput, NotFound, Conflict for a name that the organisation has."""
        async with within(self._pool, scope) as connection:
            try:
                row = await connection.fetchrow(_SQL["rename"], scope.org_id, scope.project_id, checked_name(name))
            except asyncpg.UniqueViolationError as error:
                raise Conflict(f"The organisation has a project named {name!r}") from error
            if row is None:
                raise NotFound("There is no such project in this organisation")
            await witness(connection)
        return Project.model_validate(dict(row))

    async def delete(self, scope: ProjectScope, witness: Witness) -> None:
        """Gone for everybody, within seconds: keys end, jobs are cancelled, sessions close, runs come to their end.

        It can be restored for a week; then what it held is erased (planvault.storage.project_ends). Raises NotFound.
        """
        async with within(self._pool, scope) as connection:
            # What is being made there is waited for, and closed; what comes later sees the deletion (migration 0022).
            await connection.execute(_SQL["meet_erasures"], scope.org_id, scope.project_id)
            if await connection.fetchval(_SQL["delete"], scope.org_id, scope.project_id, RESTORABLE_DAYS) is None:
                raise NotFound("There is no such project in this organisation")
            await self._stop(connection, scope)
            await witness(connection)

    async def deleted(self, scope: OrgScope) -> list[DeletedProject]:
        """Those that can be restored, oldest first."""
        rows = await scoped(self._pool, scope).fetch(_SQL["deleted"], scope.org_id)
        return [DeletedProject.model_validate(dict(row)) for row in rows]

    async def restore(self, scope: ProjectScope, name: str | None, witness: Witness) -> Project:
        """With the keys that ended with it; sessions stay closed, jobs cancelled. `name` None: the one that it had.

        Raises NotFound, InvalidInput, Conflict where it is too late or the organisation has another of that name.
        """
        place = (scope.org_id, scope.project_id)
        async with within(self._pool, scope) as connection:
            await connection.execute(_SQL["meet_erasures"], *place)
            held = await connection.fetchrow(_SQL["hold_deleted"], *place)
            if held is None:
                raise NotFound("There is no such deleted project in this organisation")
            if held["is_late"]:
                raise Conflict("The project cannot be restored: its time is over, or its erasure was asked for")
            name = held["name_before"] if name is None else checked_name(name)
            try:
                row = await connection.fetchrow(_SQL["restore"], *place, name)
            except asyncpg.UniqueViolationError as error:
                raise Conflict(
                    f"The organisation has a project named {name!r}: give this one another `name`"
                ) from error
            await connection.execute(_SQL["restore_keys"], *place, held["deleted_at"])
            await witness(connection)
        assert row is not None, "the row is held"
        return Project.model_validate(dict(row))

    async def _stop(self, connection: Connection, scope: ProjectScope) -> None:
        for step in ("revoke_keys", "cancel_jobs", "close_sessions"):
            await connection.execute(_SQL[step], scope.org_id, scope.project_id)
