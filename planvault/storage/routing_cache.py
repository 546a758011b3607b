"""The routing cache: automatic scenarios of an organisation, as people see and delete them. No prompt text is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.tenants import OrgScope
from planvault.errors import NotFound
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.scenarios import SQL, ToolRef, tools_named
from planvault.storage.tenancy import scoped


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """`users`: distinct external users behind it; all sessions without one count together as one."""

    id: UUID
    tools: tuple[ToolRef, ...]
    successes: float  # decayed, as of counted_at
    failures: float
    counted_at: datetime
    users: int
    created_at: datetime


class RoutingCache:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def size(self, scope: OrgScope) -> int:
        count: int = await scoped(self._pool, scope).fetchval(SQL["count_entries"], scope.org_id)
        return count

    async def page(
        self,
        scope: OrgScope,
        before: UUID | None,
        limit: int,
        *,
        only: UUID | None = None,
        least: float = 0.0,
        db: Queryable | None = None,
    ) -> list[CacheEntry]:
        """At most `limit` entries, newest first, older than `before`; with `least` successes when last counted."""
        db = scoped(self._pool, scope) if db is None else db
        rows = await db.fetch(SQL["entries"], scope.org_id, before, only, least, limit)
        if not rows:
            return []
        named = await tools_named(db, scope, [tool for row in rows for tool in row["tool_ids"]])
        return [
            CacheEntry(
                id=row["id"],
                tools=tuple(sorted((named[it] for it in row["tool_ids"] if it in named), key=lambda ref: ref.name)),
                successes=row["successes"],
                failures=row["failures"],
                counted_at=row["counted_at"],
                users=row["users"],
                created_at=row["created_at"],
            )
            for row in rows
        ]

    async def get(self, scope: OrgScope, entry_id: UUID, db: Queryable | None = None) -> CacheEntry:
        """Raises NotFound. `db` is the caller's open transaction."""
        found = await self.page(scope, None, 1, only=entry_id, db=db)
        if not found:
            raise _missing()
        return found[0]

    async def delete(self, connection: Connection, scope: OrgScope, entry_id: UUID) -> None:
        """Raises NotFound."""
        if await connection.fetchval(SQL["delete"], scope.org_id, entry_id, "automatic") is None:
            raise _missing()

    async def clear(self, connection: Connection, scope: OrgScope) -> int:
        """How many there were."""
        await connection.execute(SQL["lock"], scope.org_id)
        count: int = await connection.fetchval(SQL["clear_entries"], scope.org_id)
        return count


def _missing() -> NotFound:
    return NotFound("There is no such entry in the organisation's routing cache.")
