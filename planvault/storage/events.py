"""The event store and the commands inbox on Postgres. Payloads are sealed here, under the session's subkey."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import asyncpg
import orjson

from models.commands import Action, Command, CommandKind, Message
from models.events import SCHEMA_VERSION, Event, EventType, Visibility
from models.ids import CommandId, OrgId, ProjectId, SessionId
from models.tenants import SessionScope
from planvault.errors import OutcomeUnknown, SchemaTooNew
from planvault.ports import Append, InboxEntry, Keyring, OrgCipher, RunRow, ShardLease
from planvault.storage.commands import command_seal
from planvault.storage.history import event_seal
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.runs import detail_seal

_SQL = load("planvault.storage", "sql/events.sql")

_CONNECTION_LOST = (
    OSError,  # TimeoutError included
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash of another backend, cancelled query
)


class PostgresEventStore:
    """Implements EventStore and CommandInbox. `owner` is the host on whose behalf it appends."""

    def __init__(self, pool: Pool, keyring: Keyring, owner: str) -> None:
        self._pool = pool
        self._keyring = keyring
        self._owner = owner

    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        leases = sorted({item.lease.shard: item.lease.epoch for item in batch}.items())
        events: list[tuple[Any, ...]] = []
        runs: list[tuple[Any, ...]] = []
        commands: list[CommandId] = []
        for item in batch:
            cipher = await self._keyring.cipher(item.scope.org_id)
            events.extend(_event_row(item, event, cipher) for event in item.events)
            runs.extend(_run_row(item, row, cipher) for row in item.runs)
            commands.extend(item.consumed)
        try:
            rows = await self._pool.fetch(
                _SQL["append"],
                [shard for shard, _ in leases],
                [epoch for _, epoch in leases],
                self._owner,
                *_columns(events, 11),
                commands,
                *_columns(runs, 9),
            )
        except _CONNECTION_LOST as fault:
            raise OutcomeUnknown(f"append of {len(batch)} sessions: {type(fault).__name__}") from fault
        return frozenset(row["shard"] for row in rows)

    async def load(self, scope: SessionScope) -> list[Event]:
        rows = await self._pool.fetch(_SQL["load"], scope.org_id, scope.session_id)
        cipher = await self._keyring.cipher(scope.org_id)
        return [_event(scope.session_id, row, cipher) for row in rows]

    async def head(self, scope: SessionScope) -> int:
        return int(await self._pool.fetchval(_SQL["head"], scope.org_id, scope.session_id))

    async def waiting(
        self, leases: Sequence[ShardLease], limit: int, known: Collection[CommandId] = ()
    ) -> list[InboxEntry]:
        shards = [lease.shard for lease in leases]
        rows = await self._pool.fetch(_SQL["waiting_commands"], shards, limit, list(known))
        return [_entry(row, await self._keyring.cipher(row["org_id"])) for row in rows]

    async def open_runs(self, leases: Sequence[ShardLease]) -> list[SessionScope]:
        rows = await self._pool.fetch(_SQL["open_runs"], [lease.shard for lease in leases])
        return [_scope(row) for row in rows]

    async def announce(self, shards: Collection[int]) -> None:
        """Wake the viewers of these shards. A hint: they poll as well."""
        await self._pool.execute(_SQL["announce"], ",".join(map(str, sorted(shards))))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into the arrays that unnest takes."""
    return [[row[column] for row in rows] for column in range(width)]


def _event_row(item: Append, event: Event, cipher: OrgCipher) -> tuple[Any, ...]:
    scope = item.scope
    return (
        scope.session_id,
        event.seq,
        scope.org_id,
        item.lease.shard,
        item.lease.epoch,
        event.type.value,
        event.visibility.value,
        SCHEMA_VERSION,
        event.run_id,
        event.at,
        cipher.seal(orjson.dumps(event.payload), event_seal(scope.session_id, event.seq)),
    )


def _run_row(item: Append, row: RunRow, cipher: OrgCipher) -> tuple[Any, ...]:
    scope = item.scope
    detail = orjson.dumps({"pending": row.pending, "reason": row.reason})
    return (
        row.run_id,
        scope.org_id,
        scope.project_id,
        scope.session_id,
        item.lease.shard,
        row.status.value,
        not row.status.is_terminal,
        row.plan_hash,
        cipher.seal(detail, detail_seal(scope, row.run_id)),
    )


def _event(session_id: SessionId, row: Any, cipher: OrgCipher) -> Event:
    if row["schema_version"] > SCHEMA_VERSION:
        raise SchemaTooNew(f"Event {row['seq']} has schema {row['schema_version']}, this build reads {SCHEMA_VERSION}")
    plaintext = cipher.open(row["payload"], event_seal(session_id, row["seq"]))
    return Event.model_construct(
        session_id=session_id,
        seq=row["seq"],
        type=EventType(row["type"]),
        visibility=Visibility(row["visibility"]),
        at=row["at"],
        run_id=row["run_id"],
        payload=orjson.loads(plaintext),
    )


def _scope(row: Any) -> SessionScope:
    return SessionScope(
        org_id=OrgId(row["org_id"]), project_id=ProjectId(row["project_id"]), session_id=SessionId(row["session_id"])
    )


def _entry(row: Any, cipher: OrgCipher) -> InboxEntry:
    scope, kind = _scope(row), CommandKind(row["kind"])
    plaintext = cipher.open(row["payload"], command_seal(scope, CommandId(row["id"])))
    payload: Message | Action
    if kind is CommandKind.MESSAGE:
        payload = Message.model_validate_json(plaintext)
    else:
        payload = Action.model_validate_json(plaintext)
    command = Command(
        id=CommandId(row["id"]),
        org_id=scope.org_id,
        session_id=scope.session_id,
        seq=row["seq"],
        kind=kind,
        payload=payload,
    )
    return InboxEntry(scope, command)
