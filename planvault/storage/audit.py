"""The audit log: written with what it tells of, read newest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from models.audit import AuditAction, AuditEntry, AuditPage, AuditRow
from models.ids import OrgId, ProjectId, RunId, SessionId
from models.tenants import OrgScope, ProjectScope
from planvault.audit.ranges import Ranges
from planvault.audit.record import Details, pack_details, unpack_details
from planvault.errors import DecryptionFailed
from planvault.ports import Clock, Ids, Keyring, OrgCipher, Seal
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/audit.sql")
_ACTIONS = frozenset(AuditAction)
_PAGE_BYTES = 1024 * 1024  # of details; settings can be large


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


def sealed_details(cipher: OrgCipher, row_id: UUID, text: bytes) -> tuple[bytes, bytes]:
    """Details (JSON) as they are stored, and the digest that the chain holds of them."""
    packed, digest = pack_details(text)
    return cipher.seal(packed, audit_seal(row_id)), digest


class AuditLog:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def witness(self, org_id: OrgId, row: AuditRow) -> Callable[[Connection], Awaitable[None]]:
        """Writes the row inside its caller's transaction: it is there if and only if what it tells of is.

        Sealed before the transaction begins: an organisation's first key refers to its row, which that may hold.
        """
        cipher = await self._keyring.cipher(org_id)
        sealed, digest = sealed_details(cipher, row.id, orjson.dumps(row.details))
        place = (org_id, row.id, row.project_id, row.session_id, row.run_id)

        async def insert(connection: Connection) -> None:
            await connection.execute(_SQL["insert"], *place, row.at, str(row.action), sealed, digest)

        return insert

    async def page(self, scope: OrgScope, chosen: AuditFilter, before: int | None, limit: int) -> AuditPage:
        """At most `limit` rows and about a megabyte of details, newest first, in front of place `before`."""
        rows = await scoped(self._pool, scope).fetch(
            _SQL["page"],
            scope.org_id,
            before,
            [action.value for action in chosen.actions] or None,
            chosen.project_id,
            chosen.session_id,
            chosen.run_id,
            chosen.since,
            chosen.until,
            limit + 1,
            _PAGE_BYTES,
        )
        cipher = await self._keyring.cipher(scope.org_id)
        shown = [_entry(row, cipher) for row in rows[:limit]]
        more = bool(rows) and rows[0]["found"] > len(shown)
        return AuditPage(tuple(shown), shown[-1].seq if more else None)


class AuditErasure:
    """Blanks details, and leaves a row that says of which rows: verification asks for it."""

    def __init__(self, keyring: Keyring, ids: Ids, clock: Clock) -> None:
        self._keyring = keyring
        self._ids = ids
        self._clock = clock

    async def of_sessions(
        self, connection: Connection, scope: OrgScope, sessions: Sequence[SessionId], limit: int, actor: str, why: str
    ) -> int:
        """Of up to `limit` rows of these sessions; how many. Fewer than `limit`: none are left."""
        rows = await connection.fetch(_SQL["rows_of_sessions"], scope.org_id, list(sessions), limit)
        return len(await self.of_rows(connection, scope, [row["id"] for row in rows], actor, why))

    async def of_project(
        self, connection: Connection, scope: ProjectScope, after: int, limit: int, actor: str, why: str
    ) -> tuple[int, int]:
        """The same of a project's rows behind place `after`; and the place where the next ones begin."""
        rows = await connection.fetch(_SQL["rows_of_project"], scope.org_id, scope.project_id, limit, after)
        blanked = len(await self.of_rows(connection, scope, [row["id"] for row in rows], actor, why))
        return blanked, rows[-1]["seq"] if rows else after

    async def of_rows(
        self, connection: Connection, scope: OrgScope, ids: Sequence[UUID], actor: str, why: str
    ) -> list[int]:
        """Of rows by id, inside the caller's transaction; the places of those that had details."""
        if not ids:
            return []
        erased = [row["seq"] for row in await connection.fetch(_SQL["erase"], scope.org_id, list(ids))]
        if not erased:
            return []
        details = {"actor": actor, "why": why, "rows": [[first, last] for first, last in Ranges.of(erased)]}
        row_id = self._ids.new()
        cipher = await self._keyring.cipher(scope.org_id)
        sealed, digest = sealed_details(cipher, row_id, orjson.dumps(details))
        told = (scope.org_id, row_id, None, None, None, self._clock.now(), AuditAction.AUDIT_ERASED.value)
        await connection.execute(_SQL["insert"], *told, sealed, digest)
        return erased


def opened_details(cipher: OrgCipher, row: asyncpg.Record) -> Details | None:
    """None where they do not open: somebody has put there what was not sealed for this row."""
    try:
        return unpack_details(cipher.open(row["details"], audit_seal(row["id"])))
    except (DecryptionFailed, UnicodeDecodeError):
        return None


def _entry(row: asyncpg.Record, cipher: OrgCipher) -> AuditEntry:
    details = opened_details(cipher, row) if row["details"] else None
    return AuditEntry(
        seq=row["seq"],
        erased=not row["details"],
        unreadable=details is None and bool(row["details"]),
        row=AuditRow(
            id=row["id"],
            at=row["at"],
            action=_action(row["action"]),
            details={} if details is None else orjson.loads(details.text),
            project_id=None if row["project_id"] is None else ProjectId(row["project_id"]),
            session_id=None if row["session_id"] is None else SessionId(row["session_id"]),
            run_id=None if row["run_id"] is None else RunId(row["run_id"]),
        ),
    )


def _action(name: str) -> AuditAction | str:
    return AuditAction(name) if name in _ACTIONS else name
