"""The event store and the commands inbox on Postgres. Payloads are sealed here, under the session's subkey."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson

from models.commands import Action, Command, CommandKind, Message
from models.events import SCHEMA_VERSION, Event, EventType, Visibility
from models.ids import CommandId, OrgId, ProjectId, SessionId
from models.tenants import SessionScope
from planvault.engine.upcast import upcast
from planvault.errors import OutcomeUnknown, SchemaTooNew, Unavailable, Unrecordable
from planvault.ports import Append, Head, InboxEntry, Keyring, OrgCipher, RunRow, ShardLease, UnreadableEntry
from planvault.storage.commands import command_seal
from planvault.storage.history import event_seal
from planvault.storage.pool import Pool, is_away
from planvault.storage.queries import load
from planvault.storage.runs import detail_seal

_SQL = load("planvault.storage", "sql/events.sql")

_SHARDS_A_NOTE = 1_000  # a NOTIFY payload holds 8,000 bytes


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
        wakes: list[tuple[Any, ...]] = []
        for item in batch:
            with _reading("keys"):
                cipher = await self._keyring.cipher(item.scope.org_id)
            events.extend(_event_row(item, event, cipher) for event in item.events)
            runs.extend(_run_row(item, row, cipher) for row in item.runs)
            commands.extend(item.consumed)
            wakes.extend((wake.run_id, wake.at) for wake in item.wakes)
        try:
            rows = await self._pool.fetch(
                _SQL["append"],
                [shard for shard, _ in leases],
                [epoch for _, epoch in leases],
                self._owner,
                *_columns(events, 11),
                commands,
                *_columns(runs, 11),
                *_columns(wakes, 2),
            )
        # Which faults leave the outcome unknown is the pool's knowledge; all others go up as they are.
        except Exception as fault:
            if not is_away(fault):
                raise
            raise OutcomeUnknown(f"append of {len(batch)} sessions: {type(fault).__name__}") from fault
        return frozenset(row["shard"] for row in rows)

    async def load(self, scope: SessionScope) -> list[Event]:
        with _reading("events"):
            rows = await self._pool.fetch(_SQL["load"], scope.org_id, scope.session_id)
            cipher = await self._keyring.cipher(scope.org_id)
        return [_event(scope.session_id, row, cipher) for row in rows]

    async def head(self, scope: SessionScope) -> Head:
        with _reading("events"):
            row = await self._pool.fetchrow(_SQL["head"], scope.org_id, scope.session_id)
        return Head(0, 0) if row is None else Head(row["seq"], row["epoch"])

    async def waiting(
        self,
        leases: Sequence[ShardLease],
        limit: int,
        known: Collection[CommandId] = (),
        avoid: Collection[SessionId] = (),
    ) -> list[InboxEntry | UnreadableEntry]:
        shards = [lease.shard for lease in leases]
        with _reading("commands"):
            rows = await self._pool.fetch(_SQL["waiting_commands"], shards, limit, list(known), list(avoid))
        return [await self._entry(row) for row in rows]

    async def _entry(self, row: Any) -> InboxEntry | UnreadableEntry:
        with _reading("keys"):
            try:
                return _entry(row, await self._keyring.cipher(row["org_id"]))
            # Another build's kind, another key's ciphertext: it must not keep the other sessions' commands waiting.
            except Exception as fault:
                if is_away(fault):
                    raise
                return UnreadableEntry(_scope(row), fault)

    async def open_runs(self, leases: Sequence[ShardLease], now: datetime) -> list[SessionScope]:
        with _reading("runs"):
            rows = await self._pool.fetch(_SQL["open_runs"], [lease.shard for lease in leases], now)
        return [_scope(row) for row in rows]

    async def due_runs(
        self, leases: Sequence[ShardLease], until: datetime, limit: int, avoid: Collection[SessionId] = ()
    ) -> list[SessionScope]:
        shards = [lease.shard for lease in leases]
        with _reading("runs"):
            rows = await self._pool.fetch(_SQL["due_runs"], shards, until, limit, list(avoid))
        return [_scope(row) for row in rows]

    async def announce(self, shards: Collection[int]) -> None:
        """Wake the viewers of these shards. A hint: they poll as well."""
        ordered = sorted(shards)
        for start in range(0, len(ordered), _SHARDS_A_NOTE):
            note = ",".join(map(str, ordered[start : start + _SHARDS_A_NOTE]))
            await self._pool.execute(_SQL["announce"], note)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Raises Unavailable where the database is away, so that who waits for it need not know its faults."""
    try:
        yield
    # Which faults mean that is the pool's knowledge; all others go up as they are.
    except Exception as fault:
        if not is_away(fault):
            raise
        raise Unavailable(f"The database does not answer: {what} not read ({type(fault).__name__}).") from fault


def _plaintext(value: Any) -> bytes:
    """JSON as it will be read back. Raises Unrecordable for what JSON in UTF-8 with 64-bit integers cannot hold."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as fault:
        raise Unrecordable(f"A value cannot be written into the record: {fault}") from fault


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
        cipher.seal(_plaintext(event.payload), event_seal(scope.session_id, event.seq)),
    )


def _run_row(item: Append, row: RunRow, cipher: OrgCipher) -> tuple[Any, ...]:
    scope = item.scope
    detail = _plaintext({"pending": row.pending, "reason": row.reason})
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
        row.wake_at,
        row.message_id,
    )


def _event(session_id: SessionId, row: Any, cipher: OrgCipher) -> Event:
    if row["schema_version"] > SCHEMA_VERSION:
        raise SchemaTooNew(f"Event {row['seq']} has schema {row['schema_version']}, this build reads {SCHEMA_VERSION}")
    plaintext = cipher.open(row["payload"], event_seal(session_id, row["seq"]))
    return Event(
        session_id=session_id,
        seq=row["seq"],
        type=EventType(row["type"]),
        visibility=Visibility(row["visibility"]),
        at=row["at"],
        run_id=row["run_id"],
        payload=upcast(EventType(row["type"]), orjson.loads(plaintext), row["schema_version"]),
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
