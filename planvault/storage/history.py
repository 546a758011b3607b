"""A session's history as users see it: decrypted events in the order of the record."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import asyncpg
import orjson

from models.base import JsonObject
from models.events import EventType
from models.ids import OrgId, RunId, SessionId
from models.tenants import SessionScope
from planvault.ports import Keyring, OrgCipher, Seal
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/history.sql")

# A page never holds more ciphertext than this, so that a session of large events cannot fill a replica's memory.
PAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    seq: int
    type: EventType
    run_id: RunId | None
    at: datetime
    payload: JsonObject


def event_seal(session_id: SessionId, seq: int) -> Seal:
    """Where an event's payload is encrypted."""
    return event_seals(session_id)(seq)


def event_seals(session_id: SessionId) -> Callable[[int], Seal]:
    """The same for several events of one session: spelling its id costs as much as encrypting."""
    session = str(session_id)
    subkey = f"session:{session}"
    return lambda seq: Seal(subkey, "events", f"{session}:{seq}", "payload")


class HistoryReader(Protocol):
    """The caller has found the session in its project first: events carry the organisation, not the project."""

    async def newest(self, scope: SessionScope, before: int | None, limit: int) -> list[HistoryEvent]:
        """The newest events before seq `before`, in ascending order, at most `limit`."""
        ...

    async def after(
        self, scope: SessionScope, seq: int, limit: int, most_bytes: int = PAGE_BYTES
    ) -> list[HistoryEvent]:
        """The events after `seq`, in ascending order, at most `limit` and `most_bytes`; one where there is any."""
        ...

    async def has_before(self, scope: SessionScope, seq: int) -> bool:
        """Whether there are older events than `seq`."""
        ...

    async def heads(self, sessions: Collection[tuple[OrgId, SessionId]]) -> dict[SessionId, int]:
        """The newest seq (of any visibility) of each session that has events."""
        ...


class History:
    """Implements HistoryReader on the `events` table."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def newest(self, scope: SessionScope, before: int | None, limit: int) -> list[HistoryEvent]:
        rows = await scoped(self._pool, scope).fetch(
            _SQL["newest"], scope.org_id, scope.session_id, before, limit, PAGE_BYTES
        )
        return await self._opened(scope, rows[::-1])

    async def after(
        self, scope: SessionScope, seq: int, limit: int, most_bytes: int = PAGE_BYTES
    ) -> list[HistoryEvent]:
        rows = await scoped(self._pool, scope).fetch(
            _SQL["after"], scope.org_id, scope.session_id, seq, limit, most_bytes
        )
        return await self._opened(scope, rows)

    async def has_before(self, scope: SessionScope, seq: int) -> bool:
        return bool(
            await scoped(self._pool, scope).fetchval(_SQL["exists_before"], scope.org_id, scope.session_id, seq)
        )

    async def heads(self, sessions: Collection[tuple[OrgId, SessionId]]) -> dict[SessionId, int]:
        orgs = [org_id for org_id, _ in sessions]
        ids = [session_id for _, session_id in sessions]
        return {row["session_id"]: row["seq"] for row in await self._pool.fetch(_SQL["heads"], orgs, ids)}

    async def _opened(self, scope: SessionScope, rows: list[asyncpg.Record]) -> list[HistoryEvent]:
        if not rows:
            return []
        cipher = await self._keyring.session_cipher(scope)
        return [_event(scope, row, cipher) for row in rows]


def _event(scope: SessionScope, row: asyncpg.Record, cipher: OrgCipher) -> HistoryEvent:
    payload = orjson.loads(cipher.open(row["payload"], event_seal(scope.session_id, row["seq"])))
    return HistoryEvent(row["seq"], EventType(row["type"]), row["run_id"], row["at"], payload)
