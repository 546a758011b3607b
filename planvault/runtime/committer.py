"""Group commit: appends of all of a host's sessions travel in one statement.

A batch that the database refuses is bisected, so that one bad row hurts only its own session. When the connection
dies in a commit the outcome is unknown: the record is compared, never assumed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from planvault.errors import OutcomeUnknown, OwnershipLost
from planvault.ports import Append, EventStore

_log = structlog.get_logger(__name__)

_MOST_SESSIONS = 512  # in one statement
_RECONNECT_S = (0.05, 2.0)  # first and longest pause before asking a lost database again


class Committer:
    """`committed` is told the shards of every batch that landed."""

    def __init__(self, store: EventStore, committed: Callable[[frozenset[int]], None]) -> None:
        self._store = store
        self._committed = committed
        self._waiting: deque[tuple[Append, asyncio.Future[None]]] = deque()
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

    async def _write(self, batch: Sequence[tuple[Append, asyncio.Future[None]]]) -> None:
        batch = [item for item in batch if not item[1].done()]
        if not batch:
            return
        try:
            mine = await self._store.append([append for append, _ in batch])
        except OutcomeUnknown as fault:
            _log.warning("commit.outcome_unknown", sessions=len(batch), cause=str(fault))
            await self._compare(batch)
        # The boundary to the database: whatever it refused, its session must hear of it.
        except Exception as fault:  # noqa: BLE001
            await self._bisect(batch, fault)
        else:
            self._settle(batch, mine)

    async def _bisect(self, batch: Sequence[tuple[Append, asyncio.Future[None]]], fault: Exception) -> None:
        if len(batch) == 1:
            append, landed = batch[0]
            _log.error("commit.refused", session=str(append.scope.session_id), cause=repr(fault))
            if not landed.done():
                landed.set_exception(fault)
            return
        middle = len(batch) // 2
        await self._write(batch[:middle])
        await self._write(batch[middle:])

    async def _compare(self, batch: Sequence[tuple[Append, asyncio.Future[None]]]) -> None:
        """The connection died in the commit: see what landed, and write the rest again."""
        missing = []
        for append, landed in batch:
            head = await self._head(append)
            if head == append.events[-1].seq:
                self._settle([(append, landed)], frozenset({append.lease.shard}))
            elif head == append.events[0].seq - 1:
                missing.append((append, landed))
            elif not landed.done():
                landed.set_exception(OwnershipLost(f"The session went on to seq {head} elsewhere."))
        await self._write(missing)

    async def _head(self, append: Append) -> int:
        pause, longest = _RECONNECT_S
        while True:
            try:
                return await self._store.head(append.scope)
            except OutcomeUnknown:
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    def _settle(self, batch: Sequence[tuple[Append, asyncio.Future[None]]], mine: frozenset[int]) -> None:
        for append, landed in batch:
            if landed.done():
                continue
            if append.lease.shard in mine:
                landed.set_result(None)
            else:
                landed.set_exception(OwnershipLost(f"Shard {append.lease.shard} has another owner."))
        if mine:
            self._committed(mine)
