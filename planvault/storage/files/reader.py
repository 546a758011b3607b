"""Reads committed bytes of a session's segments. Blocking parts run in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from models.ids import OrgId, SessionId
from planvault.errors import RecordDamaged
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import Place, places
from planvault.storage.pool import Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/event_files.sql")


@dataclass(frozen=True, slots=True)
class Committed:
    """One segment as the database counts it."""

    path: Path
    epoch: int
    part: int
    revision: int
    first_seq: int
    last_seq: int
    snapshot_at: int | None
    size: int
    key_id: UUID  # of the data key that sealed all of it


async def committed(db: Queryable, folder: EventFolder, org_id: OrgId, session_id: SessionId) -> list[Committed]:
    """The session's segments, oldest first."""
    rows = await db.fetch(_SQL["segments"], org_id, session_id)
    return [of_row(folder, session_id, row) for row in rows]


def of_row(folder: EventFolder, session_id: SessionId, row: Any) -> Committed:
    """`row`: the columns of the query `segments`."""
    place = (row["epoch"], row["part"], row["revision"])
    path = folder.segment(row["shard"], session_id, *place)
    facts = (row["first_seq"], row["last_seq"], row["snapshot_at"], row["bytes"], row["key_id"])
    return Committed(path, *place, *facts)


async def read(path: Path, start: int, end: int) -> bytes:
    """Bytes `start` to `end`. Raises RecordDamaged where the file is gone or shorter."""
    return await asyncio.to_thread(read_now, path, start, end)


def read_now(path: Path, start: int, end: int) -> bytes:
    """`read`, blocking."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
    except FileNotFoundError as fault:
        raise RecordDamaged(f"{path.name} of session {path.parent.name} is gone; restore it from a backup.") from fault
    if len(data) != end - start:
        raise RecordDamaged(
            f"{path.name} of session {path.parent.name} ends at byte {start + len(data)}, "
            f"{end} are committed; restore it from a backup."
        )
    return data


async def frames_of(path: Path, found: Sequence[Place]) -> list[bytes]:
    """The bytes of these frames, in order."""
    return await asyncio.to_thread(_frames_of, path, found)


def _frames_of(path: Path, found: Sequence[Place]) -> list[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as fault:
        raise RecordDamaged(f"{path.name} of session {path.parent.name} is gone; restore it from a backup.") from fault
    try:
        return [os.pread(descriptor, place.size, place.offset) for place in found]
    finally:
        os.close(descriptor)


async def index(path: Path, start: int, end: int) -> list[Place]:
    """Where the frames between two committed lengths lie."""
    return await asyncio.to_thread(lambda: list(places(read_now(path, start, end), start)))
