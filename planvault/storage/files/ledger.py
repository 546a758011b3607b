"""The database's side of an append to files: one transaction says which of their bytes count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from planvault.errors import OutcomeUnknown, OwnershipLost
from planvault.ports import Append
from planvault.storage.events import PostgresEventStore
from planvault.storage.files.segments import Segment
from planvault.storage.pool import Connection, Pool, is_away, transaction
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/event_files.sql")


class SegmentReplaced(Exception):
    """A segment that an append goes on in has been rewritten, or is sealed with another key. Nothing was committed: its
    events go to a new part."""


@dataclass(frozen=True, slots=True)
class Written:
    """One append whose bytes are on disk. `snapshot_at`: offset of the newest snapshot in its segment. `key_id`: of the
    data key that sealed it."""

    append: Append
    segment: Segment
    size: int
    snapshot_at: int | None
    key_id: UUID


class Ledger:
    """`database` does what an append means beside its events: ownership, commands, runs, audit."""

    def __init__(self, pool: Pool, database: PostgresEventStore) -> None:
        self._pool = pool
        self._database = database

    async def commit(self, batch: Sequence[Append], written: Sequence[Written]) -> frozenset[int]:
        """The shards whose appends count from now on. Raises OutcomeUnknown, OwnershipLost, SegmentReplaced."""
        try:
            async with transaction(self._pool) as connection:
                return await self.enter(connection, batch, written)
        # Which faults leave the outcome unknown is the pool's knowledge; all others go up as they are.
        except Exception as fault:
            if not is_away(fault):
                raise
            raise OutcomeUnknown(f"append of {len(batch)} sessions: {type(fault).__name__}") from fault

    async def enter(
        self, connection: Connection, batch: Sequence[Append], written: Sequence[Written]
    ) -> frozenset[int]:
        """Everything of the commit, inside its transaction."""
        mine = await self._database.apply(connection, [replace(item, events=()) for item in batch])
        await _advance(connection, [item for item in written if item.append.lease.shard in mine])
        return mine


async def _advance(connection: Connection, written: Sequence[Written]) -> None:
    appends = [item.append for item in written]
    sessions = [item.scope.session_id for item in appends]
    orgs = [item.scope.org_id for item in appends]
    first = [item.events[0].seq for item in appends]
    last = [item.events[-1].seq for item in appends]
    epochs = [item.lease.epoch for item in appends]
    moved = await connection.fetch(_SQL["advance_heads"], sessions, orgs, first, last, epochs)
    if len(moved) != len(appends):
        raise OwnershipLost(f"{len(appends) - len(moved)} of {len(appends)} sessions went on elsewhere.")
    extended = await connection.fetch(
        _SQL["extend_segments"],
        sessions,
        epochs,
        [item.segment.part for item in written],
        orgs,
        [item.lease.shard for item in appends],
        [item.segment.first_seq for item in written],
        last,
        [item.snapshot_at for item in written],
        [item.size for item in written],
        [item.segment.size == 0 for item in written],
        [item.key_id for item in written],
    )
    if len(extended) != len(appends):
        raise SegmentReplaced(f"{len(appends) - len(extended)} of {len(appends)} segments")
