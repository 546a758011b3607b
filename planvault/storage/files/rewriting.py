"""What is left of a segment without the journals that may go. Blocking, and without the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.events import EventType, Visibility
from models.ids import RunId
from planvault.storage.files.frame import decode, places
from planvault.storage.files.reader import Committed, read_now


@dataclass(frozen=True, slots=True)
class Kept:
    """The bytes that stay, and how many events do not. `snapshot_at`: offset of the newest snapshot in `data`."""

    data: bytes
    snapshot_at: int | None
    dropped: int

    def and_then(self, behind: Kept) -> Kept:
        at = self.snapshot_at if behind.snapshot_at is None else len(self.data) + behind.snapshot_at
        return Kept(self.data + behind.data, at, self.dropped + behind.dropped)


@dataclass(frozen=True, slots=True)
class Sieve:
    """Engine events before seq `below` go, but for those of runs that are open."""

    below: int
    open_runs: frozenset[RunId]

    def of(self, segment: Committed) -> Kept:
        """Raises RecordDamaged: nothing is copied whose checksum is wrong."""
        data = read_now(segment.path, 0, segment.size)
        kept: list[bytes] = []
        size, dropped, snapshot_at = 0, 0, None
        for place in places(data):
            frame = decode(data, place.offset)
            if frame.visibility is Visibility.ENGINE and frame.seq < self.below and frame.run_id not in self.open_runs:
                dropped += 1
                continue
            if place.is_snapshot:
                snapshot_at = size
            kept.append(data[place.offset : place.offset + place.size])
            size += place.size
        return Kept(b"".join(kept), snapshot_at, dropped)


def newest_snapshot(segments: Sequence[Committed], cutoff: datetime) -> int | None:
    """The seq of the newest snapshot that was written before `cutoff`."""
    for segment in reversed(segments):
        if segment.snapshot_at is None:
            continue
        data = read_now(segment.path, 0, segment.size)
        frames = (decode(data, place.offset) for place in places(data) if place.is_snapshot)
        found = [frame.seq for frame in frames if frame.type is EventType.SNAPSHOT and frame.at < cutoff]
        if found:
            return found[-1]
    return None
