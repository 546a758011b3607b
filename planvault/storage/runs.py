"""Runs as the read model shows them; the host writes it together with the events it sums up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from models.base import JsonObject
from models.ids import RunId
from models.runs import RunStatus
from models.tenants import SessionScope
from planvault.errors import NotFound
from planvault.ports import Keyring, OrgCipher, Seal
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/runs.sql")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """`pending` is the open question of a waiting run, as its event put it."""

    id: RunId
    status: RunStatus
    is_open: bool
    plan_hash: str | None
    pending: JsonObject | None
    reason: str | None
    created_at: datetime
    updated_at: datetime


def detail_seal(scope: SessionScope, run_id: RunId) -> Seal:
    """Where a run's detail is encrypted: JSON `{"pending": …, "reason": …}`."""
    return Seal(f"session:{scope.session_id}", "runs", str(run_id), "detail")


class Runs:
    """The caller has found the session in its project first where an empty answer would mislead."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def get(self, scope: SessionScope, run_id: RunId, db: Queryable | None = None) -> RunRecord:
        """Raises NotFound. `db` is the caller's open transaction: whoever holds a connection asks for no second one."""
        row = await (scoped(self._pool, scope) if db is None else db).fetchrow(_SQL["find"], *_place(scope), run_id)
        if row is None:
            raise NotFound("There is no such run in this session.")
        return _record(scope, row, await self._keyring.session_cipher(scope))

    async def page(self, scope: SessionScope, before: RunId | None, limit: int) -> list[RunRecord]:
        """At most `limit` runs, newest first, older than `before`."""
        rows = await scoped(self._pool, scope).fetch(_SQL["page"], *_place(scope), before, limit)
        return await self._records(scope, rows)

    async def open_runs(self, connection: Connection, scope: SessionScope) -> list[RunRecord]:
        """Runs that are not terminal, oldest first: the active one leads."""
        return await self._records(scope, await connection.fetch(_SQL["open"], *_place(scope)))

    async def _records(self, scope: SessionScope, rows: list[asyncpg.Record]) -> list[RunRecord]:
        cipher = await self._keyring.session_cipher(scope)
        return [_record(scope, row, cipher) for row in rows]


def _place(scope: SessionScope) -> tuple[Any, Any, Any]:
    return scope.org_id, scope.project_id, scope.session_id


def _record(scope: SessionScope, row: asyncpg.Record, cipher: OrgCipher) -> RunRecord:
    run_id = RunId(row["id"])
    detail = orjson.loads(cipher.open(row["detail"], detail_seal(scope, run_id)))
    return RunRecord(
        id=run_id,
        status=RunStatus(row["status"]),
        is_open=row["is_open"],
        plan_hash=row["plan_hash"],
        pending=detail["pending"],
        reason=detail["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
