"""Takes journals of ended runs out of event files: a file is never changed, another one comes in its place.

What the owner appends to may be replaced too: its next append finds that out in its transaction, and takes a new part.
A file that counts no longer stays for a while: somebody may be reading it, or copying the folder for a backup.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import structlog

from models.ids import OrgId, RunId, SessionId
from planvault.errors import RecordDamaged
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.reader import Committed, committed
from planvault.storage.files.replacing import Overtaken, Place, Rewritten, replace, write
from planvault.storage.files.rewriting import Kept, Sieve, newest_snapshot
from planvault.storage.pool import Pool, transaction
from planvault.storage.queries import load
from planvault.storage.retention import Swept

_SQL = load("planvault.storage", "sql/event_pruning.sql")
_log = structlog.get_logger(__name__)

LEFTOVERS_FOR = timedelta(hours=1)
MOST_MERGED = 4 * 1024 * 1024  # bytes: small remainders beside each other become one file up to here
_TRIES = 3  # an owner that appends meanwhile is not made to wait


_Group: TypeAlias = tuple[tuple[Committed, ...], Kept]


@dataclass(frozen=True, slots=True)
class _Session:
    org_id: OrgId
    session_id: SessionId
    shard: int | None  # None: it has no files
    start: int  # what is below was pruned before
    cutoff: datetime

    @property
    def place(self) -> Place:
        assert self.shard is not None, "what has files has a shard"
        return Place(self.org_id, self.session_id, self.shard)


class JournalFiles:
    """Implements Pruning: engine events of runs that ended more than `older_than` ago, as `retention.journals` does."""

    name = "journals"

    def __init__(self, folder: EventFolder, older_than: timedelta, batch: int) -> None:
        self._folder = folder
        self._older_than = older_than
        self.batch = batch
        self._damaged: set[SessionId] = set()  # said once in a process's life; the next one looks again

    async def once(self, pool: Pool) -> Swept:
        rows = await pool.fetch(_SQL["ended"], self._older_than, self.batch, list(self._damaged))
        sessions: defaultdict[_Session, list[RunId]] = defaultdict(list)
        for row in rows:
            place = (row["org_id"], row["session_id"], row["shard"], row["start"], row["cutoff"])
            sessions[_Session(*place)].append(row["id"])
        looked_at, gone = 0, 0
        for session, runs in sessions.items():
            pruned = await self._prune(pool, session, runs)
            looked_at += 0 if pruned is None else len(runs)
            gone += pruned or 0
        return Swept(looked_at, gone)

    async def _prune(self, pool: Pool, session: _Session, runs: Sequence[RunId]) -> int | None:
        """Events gone; None: it could not be done, and the runs stay for another sweep."""
        for _ in range(_TRIES):
            try:
                return await self._try(pool, session, runs)
            except Overtaken:
                continue
            except RecordDamaged as damage:
                self._damaged.add(session.session_id)
                _log.error("retention.record_damaged", session_id=str(session.session_id), cause=damage.detail)
                return None
        return None

    async def _try(self, pool: Pool, session: _Session, runs: Sequence[RunId]) -> int:
        rows = await pool.fetch(_SQL["open_runs"], session.org_id, session.session_id)
        segments = await committed(pool, self._folder, session.org_id, session.session_id)
        below = await asyncio.to_thread(newest_snapshot, segments, session.cutoff)
        rewritten: list[Rewritten] = []
        dropped = 0
        if below is not None:
            sieve = Sieve(below, frozenset(row["id"] for row in rows))
            groups = _groups(segments, session.start, sieve)
            while (group := await asyncio.to_thread(next, groups, None)) is not None:  # one in memory at a time
                sources, kept = group
                rewritten.append(await write(pool, self._folder, session.place, sources, kept, sources[-1].key_id))
                dropped += kept.dropped
        async with transaction(pool) as connection:
            if rewritten:
                await replace(connection, session.place, rewritten)
            if below is not None:
                await connection.execute(_SQL["reached"], session.session_id, session.org_id, below)
            await connection.execute(_SQL["mark"], list(runs))
        return dropped


def _groups(segments: Sequence[Committed], start: int, sieve: Sieve) -> Iterator[_Group]:
    """What is to be rewritten: segments that lose events, those side by side together while the rest is small."""
    group: _Group | None = None
    for segment in segments:
        kept = sieve.of(segment) if start <= segment.last_seq and segment.first_seq < sieve.below else None
        if kept is None or not kept.dropped:
            if group is not None:
                yield group
            group = None
        elif group is not None and _fits(group, segment, kept):
            group = ((*group[0], segment), group[1].and_then(kept))
        else:
            if group is not None:
                yield group
            group = ((segment,), kept)
    if group is not None:
        yield group


def _fits(group: _Group, segment: Committed, kept: Kept) -> bool:
    """A file is small, and sealed with one key."""
    sources, before = group
    return len(before.data) + len(kept.data) <= MOST_MERGED and sources[-1].key_id == segment.key_id


class LeftoverFiles:
    """Implements Pruning: removes files that have counted for nothing for `older_than`."""

    name = "files"

    def __init__(self, folder: EventFolder, older_than: timedelta, batch: int) -> None:
        self._folder = folder
        self._older_than = older_than
        self.batch = batch

    async def once(self, pool: Pool) -> Swept:
        """Doomed first: a writer that was frozen since finds that its file can no longer come to count."""
        rows = await pool.fetch(_SQL["doom"], self._older_than, self.batch)
        names = [(row["session_id"], row["epoch"], row["part"], row["revision"]) for row in rows]
        files = [self._folder.segment(row["shard"], *name) for row, name in zip(rows, names, strict=True)]
        empty = {self._folder.session(row["shard"], row["session_id"]) for row in rows if not row["session_lives"]}

        def remove() -> None:
            for file in files:
                file.unlink(missing_ok=True)
            for folder in empty:
                shutil.rmtree(folder, ignore_errors=True)

        await asyncio.to_thread(remove)
        await pool.execute(_SQL["forget"], *_columns(names))
        return Swept(len(rows), len(rows))


def _columns(names: Iterable[tuple[UUID, int, int, int]]) -> list[list[UUID | int]]:
    return [list(column) for column in zip(*names, strict=True)] or [[], [], [], []]
