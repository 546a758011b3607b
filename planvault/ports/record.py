"""The durable record: what a decision appends, and what a session's events are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.audit import AuditRow
from models.base import JsonObject
from models.events import Event
from models.ids import BlobId, CommandId, MessageId, RunId
from models.runs import RunStatus
from models.tenants import SessionScope


@dataclass(frozen=True, slots=True)
class ShardLease:
    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the `runs` read model says of a run after an append. `pending` is the open question, if any."""

    run_id: RunId
    status: RunStatus
    plan_hash: str | None
    pending: JsonObject | None
    reason: str | None
    wake_at: datetime | None = None
    message_id: MessageId | None = None  # the prompt that it answers


@dataclass(frozen=True, slots=True)
class RunWake:
    """When an open run needs its host again; None: it needs it now, or not before somebody answers."""

    run_id: RunId
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Append:
    """All that one decision writes for one session; it lands whole or not at all."""

    scope: SessionScope
    lease: ShardLease
    events: tuple[Event, ...]
    consumed: tuple[CommandId, ...] = ()
    runs: tuple[RunRow, ...] = ()
    wakes: tuple[RunWake, ...] = ()  # of runs whose row changes in nothing else
    blobs: tuple[BlobId, ...] = ()  # that the events reference: from this commit on they are no orphans
    audits: tuple[AuditRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """A session's newest event; zeros for a session without events. `epoch` tells whose it is."""

    seq: int
    epoch: int


class EventStore(Protocol):
    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        """Write a batch in one statement; returns the shards that were still ours.

        Appends of a shard that another owner holds are dropped, the others land. Raises OutcomeUnknown where the
        database went away, Unrecordable for a payload that is no plain JSON.
        """
        ...

    async def load(self, scope: SessionScope) -> list[Event]:
        """The session's events from its newest snapshot on, in `seq` order. Raises Unavailable."""
        ...

    async def head(self, scope: SessionScope) -> Head:
        """The newest event. Raises Unavailable."""
        ...
