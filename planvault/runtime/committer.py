"""Group commit: appends of all of a host's sessions travel in one statement.

A batch that the database refuses is bisected, so that one bad row hurts only its own session. When the connection
dies in a commit the outcome is unknown: the record is compared, never assumed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import structlog

from planvault.errors import OutcomeUnknown, OwnershipLost, Unavailable
from planvault.ports import Append, EventStore, Head

_log = structlog.get_logger(__name__)

_MOST_SESSIONS = 512  # in one statement
_RECONNECT_S = (0.05, 2.0)  # first and longest pause before asking a lost database again

_Item: TypeAlias = "tuple[Append, asyncio.Future[None]]"


class Committer:
    """`committed` is told the shards of every batch that landed."""

    def __init__(self, store: EventStore, committed: Callable[[frozenset[int]], None]) -> None:
        self._store = store
        self._committed = committed
        self._waiting: deque[_Item] = deque()
        self._work = asyncio.Event()

    async def commit(self, append: Append) -> None:
        """Returns once the append is durable. Raises OwnershipLost where its shard is another host's now."""
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((append, landed))
        self._work.set()
        await landed

    async def run(self) -> None:
        """Write batches until cancelled; one statement is under way at a time."""
        while True:
            await self._work.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_SESSIONS))]
            if not self._waiting:
                self._work.clear()
            await self._write(batch)

    async def _write(self, batch: Sequence[_Item]) -> None:
        pause, longest = _RECONNECT_S
        while batch := [item for item in batch if not item[1].done()]:
            try:
                mine = await self._store.append([append for append, _ in batch])
            except (OutcomeUnknown, Unavailable) as fault:
                _log.warning("commit.outcome_unknown", sessions=len(batch), cause=str(fault))
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
                await self._compare(batch)
            # The boundary to the database: whatever it refused, its session must hear of it.
            except Exception as fault:  # noqa: BLE001
                await self._bisect(batch, fault)
            else:
                self._settle(batch, mine)

    async def _bisect(self, batch: Sequence[_Item], fault: Exception) -> None:
        """Settles all of a batch that was refused."""
        if len(batch) == 1:
            await self._refuse(*batch[0], fault)
            return
        middle = len(batch) // 2
        await self._write(batch[:middle])
        await self._write(batch[middle:])

    async def _refuse(self, append: Append, landed: asyncio.Future[None], fault: Exception) -> None:
        """Unless it is there: a statement that was thought lost can end behind our back, and refuse its repetition."""
        if _is(append, await self._head(append)):
            self._settle([(append, landed)], frozenset({append.lease.shard}))
            return
        _log.error("commit.refused", session=str(append.scope.session_id), cause=repr(fault))
        if not landed.done():
            landed.set_exception(fault)

    async def _compare(self, batch: Sequence[_Item]) -> None:
        """The connection died in the commit: settle what landed, and what cannot any more. The rest is still to do."""
        for append, landed in batch:
            head = await self._head(append)
            if _is(append, head):
                self._settle([(append, landed)], frozenset({append.lease.shard}))
            elif head.seq != append.events[0].seq - 1 and not landed.done():
                landed.set_exception(OwnershipLost(f"The session went on to seq {head.seq} elsewhere."))

    async def _head(self, append: Append) -> Head:
        pause, longest = _RECONNECT_S
        while True:
            try:
                return await self._store.head(append.scope)
            except Unavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    def _settle(self, batch: Sequence[_Item], mine: frozenset[int]) -> None:
        for append, landed in batch:
            if landed.done():
                continue
            if append.lease.shard in mine:
                landed.set_result(None)
            else:
                landed.set_exception(OwnershipLost(f"Shard {append.lease.shard} has another owner."))
        if mine:
            self._committed(mine)


def _is(append: Append, head: Head) -> bool:
    """Whether the session's record ends in this append. Another owner may have written as many events: not as us."""
    return head == Head(append.events[-1].seq, append.lease.epoch)
