"""The event store on files. Commands, runs and ownership stay in the database, and its commit is the commit.

An append writes the sealed events behind what is committed, makes them durable, and then moves the session's head in
one database transaction that also holds the shard's epoch, consumes the commands and sums up the runs. Whatever dies
before that transaction ends leaves bytes that nobody reads. Where its end is not known, the next events go to a new
file, so that bytes which may be committed are never touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID

from models.events import SCHEMA_VERSION, Event
from models.tenants import SessionScope
from planvault.crypto.envelope import read_header
from planvault.errors import RecordDamaged
from planvault.ports import Append, Head, Keyring, OrgCipher
from planvault.storage.events import PostgresEventStore, open_payload, plaintext
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import Frame, decode, encode, places
from planvault.storage.files.ledger import Ledger, SegmentReplaced, Written
from planvault.storage.files.reader import Committed, committed, read
from planvault.storage.files.segments import Segment, Segments
from planvault.storage.history import event_seal
from planvault.storage.inbox import PostgresInbox
from planvault.storage.pool import Pool, reading
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/event_files.sql")
_DISK_THREADS = 8  # waiting for the disk side by side: a batch costs about one flush, not one a session


class FileEventStore(PostgresInbox):
    """Implements EventStore and, inherited, CommandInbox, for hosts that share one folder on one machine."""

    def __init__(self, pool: Pool, keyring: Keyring, owner: str, folder: EventFolder) -> None:
        super().__init__(pool, keyring)
        self._folder = folder
        self.ledger = Ledger(pool, PostgresEventStore(pool, keyring, owner))
        self._segments = Segments(folder)
        self._threads = ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="events")

    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        try:
            return await self._append(batch)
        except SegmentReplaced:
            return await self._append(batch)  # to new parts, which nobody replaces before they count

    async def _append(self, batch: Sequence[Append]) -> frozenset[int]:
        try:
            written = await self._write(batch)
            mine = await self.ledger.commit(batch, written)
        # Whatever ended it, what lies behind the committed bytes is not known any more.
        except BaseException:
            self._leave(batch)
            raise
        self._leave([item for item in batch if item.lease.shard not in mine])
        for item in written:
            if item.append.lease.shard in mine:
                item.segment.size, item.segment.snapshot_at = item.size, item.snapshot_at
        self._segments.trim()
        return mine

    def _leave(self, batch: Sequence[Append]) -> None:
        for item in batch:
            self._segments.leave(item.scope, item.lease)

    async def _write(self, batch: Sequence[Append]) -> list[Written]:
        """All of a batch on disk, flushed side by side. Opening files happens one after the other."""
        sealed = [await self._sealed(item) for item in batch]
        loop = asyncio.get_running_loop()
        opened_ = await loop.run_in_executor(
            self._threads, lambda: [self._segments.of(i.scope, i.lease, i.events[0].seq) for i in batch]
        )
        flushes = [
            loop.run_in_executor(self._threads, segment.write, frames)
            for segment, (frames, _) in zip(opened_, sealed, strict=True)
        ]
        done, _ = await asyncio.wait(flushes)  # all of them: a thread must not write on into a segment that was left
        for flush in done:
            flush.result()
        return [
            _written(append, segment, frames, key_id)
            for append, segment, (frames, key_id) in zip(batch, opened_, sealed, strict=True)
        ]

    async def _sealed(self, item: Append) -> tuple[bytes, UUID]:
        """The frames' bytes, and the data key that sealed them: one, because nothing else runs in between."""
        with reading("keys"):
            cipher = await self._keyring.session_cipher(item.scope)
        frames = [_frame(event, cipher) for event in item.events]
        return b"".join(map(encode, frames)), read_header(frames[0].payload).key_id

    async def load(self, scope: SessionScope) -> list[Event]:
        with reading("events"):
            segments = await committed(scoped(self._pool, scope), self._folder, scope.org_id, scope.session_id)
            cipher = await self._keyring.session_cipher(scope)
        frames = [frame for segment, start in _from_snapshot(segments) for frame in await _frames(segment, start)]
        _check_gapless(scope, frames)
        return [_event(scope, frame, cipher) for frame in frames]

    async def head(self, scope: SessionScope) -> Head:
        with reading("events"):
            row = await scoped(self._pool, scope).fetchrow(_SQL["head"], scope.org_id, scope.session_id)
        return Head(0, 0) if row is None else Head(row["seq"], row["epoch"])

    def close(self) -> None:
        self._threads.shutdown()
        self._segments.close()


def _frame(event: Event, cipher: OrgCipher) -> Frame:
    payload = cipher.seal(plaintext(event.payload), event_seal(event.session_id, event.seq))
    return Frame(event.seq, event.type, event.visibility, SCHEMA_VERSION, event.run_id, event.at, payload)


def _event(scope: SessionScope, frame: Frame, cipher: OrgCipher) -> Event:
    session_id = scope.session_id
    return Event(
        session_id=session_id,
        seq=frame.seq,
        type=frame.type,
        visibility=frame.visibility,
        at=frame.at,
        run_id=frame.run_id,
        payload=open_payload(session_id, frame.seq, frame.type, frame.schema_version, frame.payload, cipher),
    )


def _written(append: Append, segment: Segment, frames: bytes, key_id: UUID) -> Written:
    snapshots = [place.offset for place in places(frames, segment.size) if place.is_snapshot]
    newest = snapshots[-1] if snapshots else segment.snapshot_at
    return Written(append, segment, segment.size + len(frames), newest, key_id)


def _from_snapshot(segments: Sequence[Committed]) -> list[tuple[Committed, int]]:
    """The segments that a reload needs, each with the offset to begin at."""
    needed: list[tuple[Committed, int]] = []
    for segment in reversed(segments):
        needed.insert(0, (segment, segment.snapshot_at or 0))
        if segment.snapshot_at is not None:
            break
    return needed


async def _frames(segment: Committed, start: int) -> list[Frame]:
    data = await read(segment.path, start, segment.size)
    return [decode(data, place.offset) for place in places(data)]


def _check_gapless(scope: SessionScope, frames: Sequence[Frame]) -> None:
    for before, frame in pairwise(frames):
        if frame.seq != before.seq + 1:
            raise RecordDamaged(f"Session {scope.session_id}: event {before.seq} is followed by {frame.seq}.")
