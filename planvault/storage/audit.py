"""The audit log: written with what it tells of, read newest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from models.audit import AuditAction, AuditRow
from models.ids import OrgId, ProjectId, RunId, SessionId
from models.tenants import OrgScope
from planvault.ports import Keyring, OrgCipher, Seal
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/audit.sql")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is left out of a page; `since` counts, `until` does not."""

    actions: Sequence[AuditAction] = ()
    project_id: ProjectId | None = None
    session_id: SessionId | None = None
    run_id: RunId | None = None
    since: datetime | None = None
    until: datetime | None = None


def audit_seal(row_id: UUID) -> Seal:
    """Where a row's details are encrypted."""
    return Seal("table:audit_log", "audit_log", str(row_id), "details")


class AuditLog:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def witness(self, org_id: OrgId, row: AuditRow) -> Callable[[Connection], Awaitable[None]]:
        """Writes the row inside its caller's transaction: it is there if and only if what it tells of is.

        Sealed before the transaction begins: an organisation's first key refers to its row, which that may hold.
        """
        cipher = await self._keyring.cipher(org_id)
        sealed = cipher.seal(orjson.dumps(row.details), audit_seal(row.id))
        place = (org_id, row.id, row.project_id, row.session_id, row.run_id)

        async def insert(connection: Connection) -> None:
            await connection.execute(_SQL["insert"], *place, row.at, row.action.value, sealed)

        return insert

    async def page(self, scope: OrgScope, chosen: AuditFilter, before: UUID | None, limit: int) -> list[AuditRow]:
        """At most `limit` rows, newest first, older than `before`."""
        rows = await self._pool.fetch(
            _SQL["page"],
            scope.org_id,
            before,
            [action.value for action in chosen.actions] or None,
            chosen.project_id,
            chosen.session_id,
            chosen.run_id,
            chosen.since,
            chosen.until,
            limit,
        )
        cipher = await self._keyring.cipher(scope.org_id)
        return [_row(row, cipher) for row in rows]


def _row(row: asyncpg.Record, cipher: OrgCipher) -> AuditRow:
    return AuditRow(
        id=row["id"],
        at=row["at"],
        action=AuditAction(row["action"]),
        details=orjson.loads(cipher.open(row["details"], audit_seal(row["id"]))),
        project_id=None if row["project_id"] is None else ProjectId(row["project_id"]),
        session_id=None if row["session_id"] is None else SessionId(row["session_id"]),
        run_id=None if row["run_id"] is None else RunId(row["run_id"]),
    )
