"""Sessions go when they are older than their organisation keeps them, in small portions, and never while they are used.

A session that goes is closed first, under the lock that whoever asks something of it takes: from then on nothing can be
asked of it. No host holds it in memory: it keeps a session that waits for a few seconds only, and nothing of this one
has happened for days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from models.ids import OrgId, SessionId
from models.policies import RetentionSettings
from models.tenants import OrgScope
from planvault.storage.files.folder import EventFolder
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.retention import Swept
from planvault.storage.session_removal import remove_folders, remove_portion
from planvault.storage.tenancy import scoped, within

_SQL = load("planvault.storage", "sql/session_retention.sql")
SESSIONS_A_BATCH = 20


class AgedSessions:
    """Implements planvault.storage.retention.Pruning. `folder` None: events are rows."""

    name = "sessions"
    batch = SESSIONS_A_BATCH

    def __init__(self, folder: EventFolder | None) -> None:
        self._folder = folder

    async def once(self, pool: Pool) -> Swept:
        rows = await pool.fetch(_SQL["aged"], RetentionSettings().sessions_days, self.batch)
        found: dict[tuple[OrgId, datetime], list[SessionId]] = defaultdict(list)
        for row in rows:
            found[OrgId(row["org_id"]), row["cutoff"]].append(SessionId(row["id"]))
        gone = 0
        for (org_id, cutoff), sessions in found.items():
            gone += await self._remove(pool, OrgScope(org_id=org_id), sessions, cutoff)
        # Where none could go (somebody holds them all), another look now would find the same.
        return Swept(len(rows) if gone else 0, gone)

    async def _remove(self, pool: Pool, scope: OrgScope, sessions: Sequence[SessionId], cutoff: datetime) -> int:
        async with within(pool, scope) as connection:
            held = [row["id"] for row in await connection.fetch(_SQL["hold"], scope.org_id, list(sessions))]
            retired = await connection.fetch(_SQL["retire"], scope.org_id, held, cutoff)
        left = [SessionId(row["id"]) for row in retired]
        while left:
            async with within(pool, scope) as connection:
                removed = await remove_portion(connection, scope, left)
            await remove_folders(self._folder, removed.sessions)
            if removed.sessions or not removed.counts:
                break
        return len(left)


async def audit_kept_for(pool: Pool, scope: OrgScope) -> timedelta:
    """How long the organisation keeps its audit log."""
    days: int | None = await scoped(pool, scope).fetchval(_SQL["audit_days"], scope.org_id)
    return timedelta(days=RetentionSettings().audit_days if days is None else days)
