"""What hosts take work from: commands that wait, and leases on the shards they lie in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.commands import Command
from models.ids import CommandId, SessionId
from models.tenants import SessionScope
from planvault.ports.record import ShardLease


@dataclass(frozen=True, slots=True)
class InboxEntry:
    scope: SessionScope
    command: Command


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """A command that this build or these keys cannot read. It keeps its place: what follows in its session waits."""

    scope: SessionScope
    fault: Exception


class CommandInbox(Protocol):
    async def waiting(
        self,
        leases: Sequence[ShardLease],
        limit: int,
        known: Collection[CommandId] = (),
        avoid: Collection[SessionId] = (),
    ) -> list[InboxEntry | UnreadableEntry]:
        """Commands of these shards that no append has consumed, in order of arrival. Raises Unavailable.

        Left out: the `known`, and those of the sessions to `avoid`.
        """
        ...

    async def open_runs(self, leases: Sequence[ShardLease], now: datetime) -> list[SessionScope]:
        """Sessions of these shards with a run that goes on now: what an owner reloads after a takeover.

        Left out: runs that wait for somebody, or for a time after `now`.
        """
        ...

    async def due_runs(
        self, leases: Sequence[ShardLease], until: datetime, limit: int, avoid: Collection[SessionId] = ()
    ) -> list[SessionScope]:
        """Sessions of these shards whose run waits for a time up to `until`, the earliest first. Raises Unavailable.

        Left out: the sessions to `avoid`.
        """
        ...


class Leases(Protocol):
    """One host's view of who owns which shard."""

    async def create_shards(self, count: int) -> None: ...

    async def beat(self, *, draining: bool = False) -> bool:
        """Say that this host lives. True while all hosts of its cluster are to give their shards back."""
        ...

    async def live_hosts(self) -> list[str]: ...

    async def acquire(self, shards: Collection[int]) -> list[ShardLease]:
        """Those of `shards` that were free, or whose owner fell silent; each under a new epoch."""
        ...

    async def owned(self) -> list[ShardLease]: ...

    async def release(self, leases: Collection[ShardLease]) -> None: ...

    async def forget(self) -> None:
        """Remove this host from the living."""
        ...
