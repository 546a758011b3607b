"""Commits whose outcome is unknown: compared with the record, never assumed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest

from models.events import Event, EventType, Visibility
from models.ids import OrgId, ProjectId, SessionId
from models.tenants import SessionScope
from planvault.errors import OutcomeUnknown, OwnershipLost, Unavailable
from planvault.ports import Append, Head, ShardLease
from planvault.runtime.committer import Committer

Fault = Callable[[], None]


def append(session: int, *seqs: int, epoch: int = 5) -> Append:
    scope = SessionScope(
        org_id=OrgId(UUID(int=1)), project_id=ProjectId(UUID(int=2)), session_id=SessionId(UUID(int=session))
    )
    events = [
        Event(
            session_id=scope.session_id,
            seq=seq,
            type=EventType.RUN_PHASE,
            visibility=Visibility.HISTORY,
            at=datetime(2026, 1, 1, tzinfo=UTC),
            payload={},
        )
        for seq in seqs
    ]
    return Append(scope, ShardLease(session, epoch), tuple(events))


@dataclass
class Store:
    """Heads by session; the next appends and heads meet `append_faults` and `head_faults`, one each."""

    heads: dict[SessionId, Head] = field(default_factory=dict)
    append_faults: list[Callable[[Sequence[Append]], None]] = field(default_factory=list)
    head_faults: list[Exception] = field(default_factory=list)
    written: list[SessionId] = field(default_factory=list)

    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        if self.append_faults:
            self.append_faults.pop(0)(batch)
        self.land(batch)
        return frozenset(item.lease.shard for item in batch)

    def land(self, batch: Sequence[Append]) -> None:
        for item in batch:
            self.written.append(item.scope.session_id)
            self.heads[item.scope.session_id] = Head(item.events[-1].seq, item.lease.epoch)

    async def head(self, scope: SessionScope) -> Head:
        if self.head_faults:
            raise self.head_faults.pop(0)
        return self.heads.get(scope.session_id, Head(0, 0))

    async def load(self, scope: SessionScope) -> list[Event]:
        raise NotImplementedError


def lost(batch: Sequence[Append]) -> None:
    raise OutcomeUnknown("lost")


def refused(batch: Sequence[Append]) -> None:
    raise ValueError("refused")


@asynccontextmanager
async def committing(store: Store) -> AsyncIterator[Committer]:
    committer = Committer(store, lambda shards: None)
    task = asyncio.create_task(committer.run())
    try:
        yield committer
        assert not task.done(), "the committer outlives every fault of the database"
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_database_that_is_still_away_when_asked_is_asked_again() -> None:
    store = Store(append_faults=[lost], head_faults=[Unavailable("away"), Unavailable("away")])
    async with committing(store) as committer:
        await asyncio.wait_for(committer.commit(append(1, 1, 2)), 10)
    assert len(store.written) == 1


async def test_a_commit_that_landed_is_not_written_again() -> None:
    store = Store()
    store.append_faults = [lambda batch: (store.land(batch), lost(batch))[1]]
    async with committing(store) as committer:
        await asyncio.wait_for(committer.commit(append(1, 1, 2)), 10)
    assert len(store.written) == 1


async def test_as_many_events_of_another_owner_are_not_taken_for_ours() -> None:
    store = Store(append_faults=[lost])
    store.heads[SessionId(UUID(int=1))] = Head(2, 6)
    async with committing(store) as committer:
        with pytest.raises(OwnershipLost):
            await asyncio.wait_for(committer.commit(append(1, 1, 2)), 10)
    assert store.written == []


async def test_a_repetition_refused_because_the_lost_statement_ended_behind_our_back_counts_as_landed() -> None:
    store = Store()

    def too_late(batch: Sequence[Append]) -> None:
        store.land(batch)
        raise ValueError("duplicate key")

    store.append_faults = [lost, too_late]
    async with committing(store) as committer:
        await asyncio.wait_for(committer.commit(append(1, 1, 2)), 10)
    assert len(store.written) == 1


async def test_a_database_that_answers_and_takes_nothing_is_tried_until_it_does() -> None:
    """A disk that is full, a standby in a failover: reading works all the while."""
    store = Store(append_faults=[lost] * 4)
    async with committing(store) as committer:
        await asyncio.wait_for(committer.commit(append(1, 1)), 10)
    assert len(store.written) == 1


async def test_a_connection_lost_in_the_middle_of_bisecting_settles_every_session() -> None:
    store = Store(append_faults=[refused, lost, refused])
    async with committing(store) as committer:
        commits = [committer.commit(append(session, 1)) for session in (1, 2, 3)]
        outcomes = await asyncio.wait_for(asyncio.gather(*commits, return_exceptions=True), 10)
    assert [type(outcome) for outcome in outcomes] == [ValueError, type(None), type(None)]
