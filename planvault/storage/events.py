"""The event store on Postgres. Payloads are sealed here, under the session's subkey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from models.audit import AuditRow
from models.base import JsonObject
from models.events import SCHEMA_VERSION, Event, EventType, Visibility
from models.ids import CommandId, SessionId
from models.tenants import SessionScope
from planvault.engine.upcast import upcast
from planvault.errors import OutcomeUnknown, SchemaTooNew, Unrecordable
from planvault.ports import Append, Head, Keyring, OrgCipher, RunRow
from planvault.storage.append_parts import Statement, statement
from planvault.storage.audit import sealed_details
from planvault.storage.history import event_seal, event_seals
from planvault.storage.inbox import PostgresInbox
from planvault.storage.pool import Pool, Queryable, is_away, reading
from planvault.storage.queries import load
from planvault.storage.runs import detail_seal
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/events.sql")


class PostgresEventStore(PostgresInbox):
    """Implements EventStore and, inherited, CommandInbox. `owner` is the host on whose behalf it appends."""

    def __init__(self, pool: Pool, keyring: Keyring, owner: str) -> None:
        super().__init__(pool, keyring)
        self._owner = owner

    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        try:
            return await self.apply(self._pool, batch)
        # Which faults leave the outcome unknown is the pool's knowledge; all others go up as they are.
        except Exception as fault:
            if not is_away(fault):
                raise
            raise OutcomeUnknown(f"append of {len(batch)} sessions: {type(fault).__name__}") from fault

    async def apply(self, queryable: Queryable, batch: Sequence[Append]) -> frozenset[int]:
        """The append's statement, on its own or inside the caller's transaction. Raises what the database raises."""
        leases = sorted({item.lease.shard: item.lease.epoch for item in batch}.items())
        events: list[tuple[Any, ...]] = []
        runs: list[tuple[Any, ...]] = []
        commands: list[CommandId] = []
        wakes: list[tuple[Any, ...]] = []
        audits: list[tuple[Any, ...]] = []
        for item in batch:
            with reading("keys"):
                cipher = await self._keyring.session_cipher(item.scope)
                organisations = await self._keyring.cipher(item.scope.org_id)
            events.extend(_event_rows(item, cipher))
            runs.extend(_run_row(item, row, cipher) for row in item.runs)
            commands.extend(item.consumed)
            wakes.extend((wake.run_id, wake.at) for wake in item.wakes)
            audits.extend(_audit_row(item, row, organisations) for row in item.audits)
        blobs = [(blob_id, item.lease.shard) for item in batch for blob_id in item.blobs]
        arguments = (
            [shard for shard, _ in leases],
            [epoch for _, epoch in leases],
            self._owner,
            *_columns(events, 11),
            commands,
            *_columns(runs, 11),
            *_columns(wakes, 2),
            *_columns(blobs, 2),
            *_columns(audits, 10),
        )
        made = _statement(
            written=events, applied=commands, summarised=runs, rewoken=wakes, referenced=blobs, audited=audits
        )
        rows = await queryable.fetch(made.sql, *made.of(arguments))
        return frozenset(row["shard"] for row in rows)

    async def load(self, scope: SessionScope) -> list[Event]:
        with reading("events"):
            rows = await scoped(self._pool, scope).fetch(_SQL["load"], scope.org_id, scope.session_id)
            cipher = await self._keyring.session_cipher(scope)
        return [_event(scope.session_id, row, cipher) for row in rows]

    async def head(self, scope: SessionScope) -> Head:
        with reading("events"):
            row = await scoped(self._pool, scope).fetchrow(_SQL["head"], scope.org_id, scope.session_id)
        return Head(0, 0) if row is None else Head(row["seq"], row["epoch"])


def plaintext(value: Any) -> bytes:
    """JSON as it will be read back. Raises Unrecordable for what JSON in UTF-8 with 64-bit integers cannot hold."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as fault:
        raise Unrecordable(f"A value cannot be written into the record: {fault}") from fault


def _statement(**rows: Sequence[object]) -> Statement:
    """The append with the parts that have rows."""
    return statement(frozenset(part for part, its in rows.items() if its))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into the arrays that unnest takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _event_rows(item: Append, cipher: OrgCipher) -> Iterator[tuple[Any, ...]]:
    session_id, org_id, lease = item.scope.session_id, item.scope.org_id, item.lease
    place = event_seals(session_id)
    for event in item.events:
        yield (
            session_id,
            event.seq,
            org_id,
            lease.shard,
            lease.epoch,
            event.type,
            event.visibility,
            SCHEMA_VERSION,
            event.run_id,
            event.at,
            cipher.seal(plaintext(event.payload), place(event.seq)),
        )


def _audit_row(item: Append, row: AuditRow, cipher: OrgCipher) -> tuple[Any, ...]:
    return (
        row.id,
        item.scope.org_id,
        item.scope.project_id,
        item.scope.session_id,
        row.run_id,
        item.lease.shard,
        row.at,
        str(row.action),
        *sealed_details(cipher, row.id, plaintext(row.details)),
    )


def _run_row(item: Append, row: RunRow, cipher: OrgCipher) -> tuple[Any, ...]:
    scope = item.scope
    detail = plaintext({"pending": row.pending, "reason": row.reason})
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
    type_ = EventType(row["type"])
    return Event(
        session_id=session_id,
        seq=row["seq"],
        type=type_,
        visibility=Visibility(row["visibility"]),
        at=row["at"],
        run_id=row["run_id"],
        payload=open_payload(session_id, row["seq"], type_, row["schema_version"], row["payload"], cipher),
    )


def open_payload(
    session_id: SessionId, seq: int, type_: EventType, schema_version: int, sealed: bytes, cipher: OrgCipher
) -> JsonObject:
    """What an event says, as this build reads it. Raises SchemaTooNew, DecryptionFailed."""
    if schema_version > SCHEMA_VERSION:
        raise SchemaTooNew(f"Event {seq} has schema {schema_version}, this build reads {SCHEMA_VERSION}")
    return upcast(type_, orjson.loads(cipher.open(sealed, event_seal(session_id, seq))), schema_version)
