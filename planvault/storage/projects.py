"""A project's life after it was made: another name, and its end."""

from __future__ import annotations

import asyncpg

from models.tenants import Project, ProjectScope
from planvault.errors import Conflict, NotFound
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within
from planvault.storage.tenants import Witness, checked_name

_SQL = load("planvault.storage", "sql/projects.sql")


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

        What it held stays encrypted until an erasure of the project, or of the organisation. Raises NotFound.
        """
        async with within(self._pool, scope) as connection:
            if await connection.fetchval(_SQL["delete"], scope.org_id, scope.project_id) is None:
                raise NotFound("There is no such project in this organisation")
            await self._stop(connection, scope)
            await witness(connection)

    async def _stop(self, connection: Connection, scope: ProjectScope) -> None:
        for step in ("revoke_keys", "cancel_jobs", "close_sessions"):
            await connection.execute(_SQL[step], scope.org_id, scope.project_id)
