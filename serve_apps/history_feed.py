"""Tells viewers that a session has more history. One LISTEN connection a replica, whatever the number of viewers.

A notification is a hint that names shards; the database's heads are the truth. They are asked for the watched
sessions of those shards at once, for all watched sessions every second however many hints come, and after a reconnect.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg
import structlog

from models.ids import SessionId
from models.tenants import SessionScope
from planvault.storage.hints import HISTORY, Hints
from planvault.storage.history import HistoryReader
from planvault.storage.listen import listen

POLL_S = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Watch:
    """One viewer's interest. `head` is the newest seq known to exist, whether or not the viewer has read it."""

    scope: SessionScope
    shard: int
    head: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, head: int) -> None:
        if head > self.head:
            self.head = head
            self._news.set()

    def stop(self) -> None:
        self._news.set()

    async def news(self) -> None:
        """Returns when the session has grown since the last call, or the feed stops."""
        await self._news.wait()
        self._news.clear()


class HistoryFeed:
    """Start with `running()`. It listens on a direct connection of its own."""

    def __init__(
        self, history: HistoryReader, database_url: str, poll_s: float = POLL_S, hints: Hints | None = None
    ) -> None:
        self._hints = hints
        self._history = history
        self._database_url = database_url
        self._poll_s = poll_s
        self._watches: dict[SessionId, set[Watch]] = {}
        self._hinted: set[int] = set()
        self._hint = asyncio.Event()
        self._everything_due = 0.0  # loop time of the next look at all watched sessions
        self.stopping = False

    @property
    def viewers(self) -> int:
        return sum(len(watches) for watches in self._watches.values())

    @asynccontextmanager
    async def watch(self, scope: SessionScope, shard: int, seen: int) -> AsyncIterator[Watch]:
        """Interest in what follows `seen`, for as long as the block lasts."""
        watch = Watch(scope, shard, seen)
        self._watches.setdefault(scope.session_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[scope.session_id]
            watches.discard(watch)
            if not watches:
                del self._watches[scope.session_id]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(listen(self._database_url, HISTORY, self._heard)),
            asyncio.create_task(self._rescan()),
        ]
        if self._hints is not None:
            tasks.append(asyncio.create_task(self._hints.hear(HISTORY, self._heard)))
        try:
            yield
        finally:
            self.stopping = True
            for watch in self._all(self._watches):
                watch.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _heard(self, payload: str) -> None:
        """Shards that grew; an empty payload means that anything may have been missed, and a rescan finds it."""
        if payload:
            self._hinted.update(int(shard) for shard in payload.split(",") if shard.isdecimal())
        else:
            self._everything_due = 0.0
        self._hint.set()

    async def _rescan(self) -> None:
        now = asyncio.get_running_loop().time
        while not self.stopping:
            # Not asyncio.wait_for: until Python 3.12 it loses a cancellation that comes together with the hint.
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._everything_due):
                    await self._hint.wait()
            self._hint.clear()
            hinted, self._hinted = frozenset(self._hinted), set()
            everything = now() >= self._everything_due
            if everything:
                self._everything_due = now() + self._poll_s
            try:
                await self._look(None if everything else hinted)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                _log.warning("history_poll_failed", error=type(error).__name__)
                self._everything_due = 0.0  # the hints that this look was for are used up
                await asyncio.sleep(self._poll_s)

    async def _look(self, shards: frozenset[int] | None) -> None:
        """Compare heads of the watched sessions of `shards` (None: of all)."""
        watched = {
            session_id: next(iter(watches))
            for session_id, watches in self._watches.items()
            if shards is None or next(iter(watches)).shard in shards
        }
        if not watched:
            return
        heads = await self._history.heads([(w.scope.org_id, session_id) for session_id, w in watched.items()])
        for session_id, head in heads.items():
            for watch in self._all({session_id: self._watches.get(session_id, ())}):
                watch.saw(head)

    @staticmethod
    def _all(watches: Mapping[SessionId, Collection[Watch]]) -> list[Watch]:
        return [watch for group in watches.values() for watch in group]
