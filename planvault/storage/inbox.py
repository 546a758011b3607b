"""What waits for a host: commands nobody has applied, runs that go on by themselves, runs whose time has come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from models.commands import Action, Command, CommandKind, CommandPayload, Message, Signal
from models.ids import CommandId, OrgId, ProjectId, SessionId
from models.tenants import SessionScope
from planvault.ports import InboxEntry, Keyring, OrgCipher, ShardLease, UnreadableEntry
from planvault.storage.commands import command_seal
from planvault.storage.pool import Pool, is_away, reading
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/inbox.sql")

_SHARDS_A_NOTE = 1_000  # a NOTIFY payload holds 8,000 bytes
_PAYLOADS: dict[CommandKind, type[CommandPayload]] = {CommandKind.MESSAGE: Message, CommandKind.SIGNAL: Signal}


class PostgresInbox:
    """Implements CommandInbox."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def waiting(
        self,
        leases: Sequence[ShardLease],
        limit: int,
        known: Collection[CommandId] = (),
        avoid: Collection[SessionId] = (),
    ) -> list[InboxEntry | UnreadableEntry]:
        shards = [lease.shard for lease in leases]
        with reading("commands"):
            rows = await self._pool.fetch(_SQL["waiting_commands"], shards, limit, list(known), list(avoid))
        return [await self._entry(row) for row in rows]

    async def _entry(self, row: Any) -> InboxEntry | UnreadableEntry:
        with reading("keys"):
            try:
                return _entry(row, await self._keyring.session_cipher(_scope(row)))
            # Another build's kind, another key's ciphertext: it must not keep the other sessions' commands waiting.
            except Exception as fault:
                if is_away(fault):
                    raise
                return UnreadableEntry(_scope(row), fault)

    async def open_runs(self, leases: Sequence[ShardLease], now: datetime) -> list[SessionScope]:
        with reading("runs"):
            rows = await self._pool.fetch(_SQL["open_runs"], [lease.shard for lease in leases], now)
        return [_scope(row) for row in rows]

    async def due_runs(
        self, leases: Sequence[ShardLease], until: datetime, limit: int, avoid: Collection[SessionId] = ()
    ) -> list[SessionScope]:
        shards = [lease.shard for lease in leases]
        with reading("runs"):
            rows = await self._pool.fetch(_SQL["due_runs"], shards, until, limit, list(avoid))
        return [_scope(row) for row in rows]

    async def announce(self, shards: Collection[int]) -> None:
        """Wake the viewers of these shards. A hint: they poll as well."""
        ordered = sorted(shards)
        for start in range(0, len(ordered), _SHARDS_A_NOTE):
            note = ",".join(map(str, ordered[start : start + _SHARDS_A_NOTE]))
            await self._pool.execute(_SQL["announce"], note)


def _scope(row: Any) -> SessionScope:
    return SessionScope(
        org_id=OrgId(row["org_id"]), project_id=ProjectId(row["project_id"]), session_id=SessionId(row["session_id"])
    )


def _entry(row: Any, cipher: OrgCipher) -> InboxEntry:
    scope, kind = _scope(row), CommandKind(row["kind"])
    plaintext = cipher.open(row["payload"], command_seal(scope, CommandId(row["id"])))
    payload = _PAYLOADS.get(kind, Action).model_validate_json(plaintext)
    command = Command(
        id=CommandId(row["id"]),
        org_id=scope.org_id,
        session_id=scope.session_id,
        seq=row["seq"],
        kind=kind,
        payload=payload,
    )
    return InboxEntry(scope, command)
