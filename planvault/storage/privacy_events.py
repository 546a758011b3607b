"""A session's record for an export, the journal included, wherever its events are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from uuid import UUID

import orjson

from models.base import JsonObject
from models.tenants import SessionScope
from planvault.ports import OrgCipher
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import decode
from planvault.storage.files.reader import committed, frames_of, index
from planvault.storage.history import event_seal
from planvault.storage.pool import Connection
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/privacy_events.sql")
_EVENTS = 200
_BYTES = 4 * 1024 * 1024  # of ciphertext in one page


async def events_of(
    connection: Connection, folder: EventFolder | None, scope: SessionScope, cipher: OrgCipher
) -> AsyncIterator[JsonObject]:
    """All events in the order of the record. `folder` None: they are rows. `connection`: one snapshot."""
    if folder is not None:
        async for event in _of_files(connection, folder, scope, cipher):
            yield event
        return
    seq = 0
    while True:
        rows = await connection.fetch(_SQL["page"], scope.org_id, scope.session_id, seq, _EVENTS, _BYTES)
        if not rows:
            return
        for row in rows:
            facts = (row["seq"], row["type"], row["visibility"], row["run_id"], row["at"], row["payload"])
            yield _event(scope, cipher, *facts)
        seq = rows[-1]["seq"]


async def _of_files(
    connection: Connection, folder: EventFolder, scope: SessionScope, cipher: OrgCipher
) -> AsyncIterator[JsonObject]:
    for segment in await committed(connection, folder, scope.org_id, scope.session_id):
        places = await index(segment.path, 0, segment.size)
        for start in range(0, len(places), _EVENTS):
            for event in _decoded(scope, cipher, await frames_of(segment.path, places[start : start + _EVENTS])):
                yield event


def _decoded(scope: SessionScope, cipher: OrgCipher, frames: list[bytes]) -> Iterator[JsonObject]:
    for data in frames:
        frame = decode(data)
        facts = (frame.seq, frame.type.value, frame.visibility.value, frame.run_id, frame.at, frame.payload)
        yield _event(scope, cipher, *facts)


def _event(
    scope: SessionScope,
    cipher: OrgCipher,
    seq: int,
    type_: str,
    visibility: str,
    run_id: UUID | None,
    at: datetime,
    sealed: bytes,
) -> JsonObject:
    return {
        "seq": seq,
        "type": type_,
        "visibility": visibility,
        "runId": None if run_id is None else str(run_id),
        "at": at.isoformat(),
        "payload": orjson.loads(cipher.open(sealed, event_seal(scope.session_id, seq))),
    }
