"""Puts new files in the place of a session's segments: none is ever changed, and one transaction says which count.

Who writes a file says so first (`event_leftovers`), so none is forgotten, whatever dies. An owner that goes on in one
that was replaced finds that out in its next append. The old ones stay for a while: somebody may be reading them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from models.ids import OrgId, SessionId
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.reader import Committed
from planvault.storage.files.rewriting import Kept
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/event_pruning.sql")


class Overtaken(Exception):
    """A file has grown or was replaced since it was read. Nothing was committed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session's files lie."""

    org_id: OrgId
    session_id: SessionId
    shard: int


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One new file and those that it takes the place of, in order; it has the last one's epoch and part."""

    revision: int
    sources: tuple[Committed, ...]
    size: int
    snapshot_at: int | None
    key_id: UUID


async def write(
    pool: Pool, folder: EventFolder, place: Place, sources: tuple[Committed, ...], kept: Kept, key_id: UUID
) -> Rewritten:
    """On disk, and known as something that does not count yet. `pool`: of the platform; `key_id`: what sealed it."""
    last = sources[-1]
    revision: int = await pool.fetchval(_SQL["announce"], place.session_id, last.epoch, last.part, place.shard)
    path = folder.segment(place.shard, place.session_id, last.epoch, last.part, revision)
    await asyncio.to_thread(folder.write, path, kept.data)
    return Rewritten(revision, sources, len(kept.data), kept.snapshot_at, key_id)


async def replace(connection: Connection, place: Place, rewritten: Sequence[Rewritten]) -> None:
    """In the caller's transaction: appends of the session wait from here to its end. Raises Overtaken."""
    if not rewritten:
        return
    await connection.execute(_SQL["hold"], place.org_id, place.session_id)
    old = [source for item in rewritten for source in item.sources]
    await _all(
        connection,
        "retire",
        [place.session_id] * len(old),
        [source.epoch for source in old],
        [source.part for source in old],
        [source.revision for source in old],
        [source.size for source in old],
    )
    new = [(item, item.sources[-1]) for item in rewritten]
    names = (
        [place.session_id] * len(new),
        [last.epoch for _, last in new],
        [last.part for _, last in new],
        [item.revision for item, _ in new],
    )
    await _all(connection, "claim", *names)
    await connection.execute(
        _SQL["count_instead"],
        *names,
        place.org_id,
        place.shard,
        [item.sources[0].first_seq for item, _ in new],
        [last.last_seq for _, last in new],
        [item.snapshot_at for item, _ in new],
        [item.size for item, _ in new],
        [item.key_id for item, _ in new],
    )


async def _all(connection: Connection, query: str, first: Sequence[UUID], *others: Sequence[int]) -> None:
    """Every one of these rows, as it was known, or none of them. Raises Overtaken."""
    if len(await connection.fetch(_SQL[query], first, *others)) != len(first):
        raise Overtaken(query)
