"""The durable runtime of one host: owned shards, live sessions, and the loops that keep them going.

Knows nothing of Ray; an actor wraps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import structlog

from models.ids import CommandId, RunId, SessionId, shard_of
from models.tenants import SessionScope
from planvault.engine.evolve import fold
from planvault.engine.inputs import CommandArrived, Recovered
from planvault.engine.state import SessionState
from planvault.errors import OwnershipLost, Unavailable
from planvault.ports import Clock, CommandInbox, EventStore, Ids, InboxEntry, Leases, ShardLease, UnreadableEntry
from planvault.runtime.committer import Committer
from planvault.runtime.ownership import Ownership
from planvault.runtime.session import LiveSession, Runner

_log = structlog.get_logger(__name__)

_POLL_S = 1.0  # the floor under every hint
_ANNOUNCE_S = 0.02  # NOTIFY serialises commits, so it is coalesced
_MOST_COMMANDS = 1_000  # in one look at the inbox
_LOADS_AT_ONCE = 16
_AHEAD_S = 1.5  # how long before their time waiting runs are loaded: longer than until the next look
_KEEP_S = 5.0  # a session that waits for longer leaves the memory
_MOST_DUE = 200  # loaded in one look: commands wait meanwhile
_REST_S = 5.0  # for a session that cannot go on, before it is read again


class Store(EventStore, CommandInbox, Protocol):
    async def announce(self, shards: Collection[int]) -> None: ...


class Hints(Protocol):
    """A second way to the viewers, beside the store's announcement. Never fails, never takes long."""

    async def history(self, shards: Collection[int]) -> None: ...


class SessionRuntime:
    def __init__(
        self,
        host: str,
        store: Store,
        leases: Leases,
        runner: Runner,
        clock: Clock,
        ids: Ids,
        *,
        shards: int,
        lease_s: float,
        hints: Hints | None = None,
    ) -> None:
        self._hints = hints
        self._store = store
        self._leases = leases
        self._runner = runner
        self._clock = clock
        self._ids = ids
        self._shards = shards
        self._lease_s = lease_s
        self._committer = Committer(store, self._committed)
        self.ownership = Ownership(
            host,
            leases,
            clock,
            shards=shards,
            lease_s=lease_s,
            gained=self._gained,
            dropped=self._drop_shards,
            quiet=self._is_quiet,
        )
        self._live: dict[SessionId, LiveSession] = {}
        self._known: dict[CommandId, SessionId] = {}  # taken from the inbox, not yet consumed
        self._fresh: list[ShardLease] = []  # acquired, open runs not yet reloaded
        self._resting: dict[SessionId, float] = {}  # sessions that cannot go on, until when (monotonic)
        self._due_at = 0.0  # of the next look at waiting runs (monotonic)
        self._due_seen: set[SessionId] = set()  # in the pages of this look so far
        self._news: set[int] = set()  # shards with history to announce
        self._woken = asyncio.Event()
        self._announcing = asyncio.Event()

    async def run(self) -> None:
        """Own shards and run their sessions until cancelled."""
        await self._leases.create_shards(self._shards)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._committer.run())
                tasks.create_task(self._keep_leases())
                tasks.create_task(self._read_inbox())
                tasks.create_task(self._announce())
        finally:  # without its committer a session would wait, and call, for nothing
            self._drop_shards(frozenset(session.lease.shard for session in self._live.values()))

    def wake(self, shards: Collection[int] = ()) -> None:
        """A hint that commands wait; empty: look anyway."""
        if not shards or any(shard in self.ownership.owned for shard in shards):
            self._woken.set()

    async def drain(self) -> None:
        """Give every shard back, waiting for calls in flight; returns when none is left."""
        self.ownership.draining = True
        await self.ownership.tick()
        while self.ownership.owned:
            await asyncio.sleep(_ANNOUNCE_S)
            await self.ownership.tick()
        await self._leases.forget()

    @property
    def stats(self) -> dict[str, int]:
        return {"shards": len(self.ownership.owned), "sessions": len(self._live), "commands": len(self._known)}

    # ── loops ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_leases(self) -> None:
        while True:
            try:
                await self.ownership.tick()
                self._evict_idle()
            # The database is away: the lease runs out by itself, and effects stop.
            except Exception as fault:  # noqa: BLE001
                _log.warning("lease.not_renewed", cause=repr(fault))
            await asyncio.sleep(self._lease_s / 6)

    async def _read_inbox(self) -> None:
        while True:
            try:
                self._end_rests()
                await self._reload_open_runs()
                more = await self._load_due_runs()
                more = await self._take_commands() or more
            # The database is away; the next look finds everything still there.
            except Exception as fault:  # noqa: BLE001
                _log.warning("inbox.not_read", cause=repr(fault))
                more = False
            if not more:
                await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        with suppress(TimeoutError):  # the floor: look again even if nobody called
            async with asyncio.timeout(_POLL_S):  # wait_for loses cancellations before Python 3.12
                await self._woken.wait()
        self._woken.clear()

    async def _announce(self) -> None:
        while True:
            await self._announcing.wait()
            await asyncio.sleep(_ANNOUNCE_S)
            self._announcing.clear()
            news, self._news = self._news, set()
            try:
                if self._hints is not None:
                    await self._hints.history(news)
                await self._store.announce(news)
            # Viewers poll: they learn of it a second later.
            except Exception as fault:  # noqa: BLE001
                _log.warning("history.not_announced", cause=repr(fault))

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _reload_open_runs(self) -> None:
        if not self._fresh:
            return
        fresh = list(self._fresh)
        scopes = await self._store.open_runs(fresh, self._clock.now())
        await self._load_all(scopes)
        self._fresh = [lease for lease in self._fresh if lease not in fresh]

    async def _load_due_runs(self) -> bool:
        """Bring back the sessions whose wait is about to end, once a second; true if there may be more.

        A timer in memory is as exact as the loop; this look is what outlives the memory. It goes page by page, and
        commands are taken in between.
        """
        owned, now = list(self.ownership.owned.values()), self._clock.monotonic()
        if not owned or now < self._due_at:
            return False
        until = self._clock.now() + timedelta(seconds=_AHEAD_S)
        scopes = await self._store.due_runs(owned, until, _MOST_DUE, [*self._resting, *self._due_seen])
        await self._load_all(scopes)
        self._due_seen.update(scope.session_id for scope in scopes)
        if len(scopes) == _MOST_DUE:
            return True
        self._due_seen.clear()
        self._due_at = now + _POLL_S
        for session in list(self._live.values()):
            session.nudge()
        return False

    async def _take_commands(self) -> bool:
        """Hand waiting commands to their sessions; true if there may be more."""
        owned = dict(self.ownership.owned)
        if not owned:
            return False
        entries = await self._store.waiting(
            list(owned.values()), _MOST_COMMANDS, list(self._known), list(self._resting)
        )
        await self._load_all([entry.scope for entry in entries if isinstance(entry, InboxEntry)])
        handed = sum([self._hand_over(entry, owned) for entry in entries])
        return handed == _MOST_COMMANDS

    def _hand_over(self, entry: InboxEntry | UnreadableEntry, owned: Mapping[int, ShardLease]) -> bool:
        """False where nobody here can take it now. `owned`: the leases under which the inbox was read."""
        session_id = entry.scope.session_id
        if session_id in self._resting:
            return False  # an earlier command of the session must come first
        if isinstance(entry, UnreadableEntry):
            self._rest(session_id, entry.fault)
            return False
        session = self._live.get(session_id)
        if session is None or entry.command.id in self._known:
            return False
        if owned.get(session.lease.shard) != session.lease:
            return False  # the shard was away and came back: another owner may have applied it
        self._known[entry.command.id] = session_id
        self._give(session, entry)
        return True

    def _give(self, session: LiveSession, entry: InboxEntry) -> None:
        session.give(lambda: CommandArrived(entry.command, self._clock.now(), RunId(self._ids.new())))

    async def _load_all(self, scopes: Sequence[SessionScope]) -> None:
        limit = asyncio.Semaphore(_LOADS_AT_ONCE)
        there = self._live.keys() | self._resting.keys()
        wanted = {scope.session_id: scope for scope in scopes if scope.session_id not in there}

        async def load(scope: SessionScope) -> None:
            async with limit:
                await self._load(scope)

        async with asyncio.TaskGroup() as loads:  # where one fails none goes on behind our back, to load it twice
            for scope in wanted.values():
                loads.create_task(load(scope))

    async def _load(self, scope: SessionScope) -> None:
        """Rebuild a session from its record. What was in flight when it was last alive has no witness.

        Raises Unavailable. A record that cannot be read keeps its own session from going on, and no other.
        """
        lease = self.ownership.owned.get(shard_of(scope.session_id, self._shards))
        if lease is None:
            return
        try:
            state = fold(SessionState(scope), await self._store.load(scope))
        except Unavailable:
            raise
        # Another build's schema, another key's ciphertext, a fault of ours in folding it.
        except Exception as fault:  # noqa: BLE001
            self._rest(scope.session_id, fault)
            return
        session = LiveSession(
            state,
            lease,
            committer=self._committer,
            runner=self._runner,
            gate=self.ownership,
            clock=self._clock,
            ids=self._ids,
            applied=self._applied,
            lost=self._lost,
        )
        if self.ownership.owned.get(lease.shard) != lease:
            return  # it moved on while we read
        self._live[scope.session_id] = session
        session.give(lambda: Recovered(self._clock.now(), RunId(self._ids.new()), self._lease_s))

    def _applied(self, commands: Sequence[CommandId]) -> None:
        for command in commands:
            self._known.pop(command, None)

    def _lost(self, session: LiveSession, fault: Exception) -> None:
        """A commit was refused: read the session again, if the shard is still ours."""
        _log.warning("session.reload", session=str(session.state.scope.session_id), cause=repr(fault))
        self._forget(session)
        if not isinstance(fault, OwnershipLost):
            self._rest(session.state.scope.session_id, fault)
            return
        self.ownership.recheck()
        lease = self.ownership.owned.get(session.lease.shard)
        if lease is not None:
            self._fresh.append(lease)

    def _rest(self, session_id: SessionId, fault: Exception) -> None:
        """Leave the session alone for a while: what ails it may pass, and asking at once would stop all others."""
        _log.error("session.rests", session=str(session_id), seconds=_REST_S, exc_info=fault)
        self._resting[session_id] = self._clock.monotonic() + _REST_S

    def _end_rests(self) -> None:
        now = self._clock.monotonic()
        for session_id in [session_id for session_id, until in self._resting.items() if until <= now]:
            del self._resting[session_id]
            lease = self.ownership.owned.get(shard_of(session_id, self._shards))
            if lease is not None and lease not in self._fresh:
                self._fresh.append(lease)

    def _gained(self, leases: list[ShardLease]) -> None:
        self._fresh.extend(leases)
        self._woken.set()

    def _drop_shards(self, shards: frozenset[int]) -> None:
        for session in [session for session in self._live.values() if session.lease.shard in shards]:
            session.drop()
            self._forget(session)
        self._fresh = [lease for lease in self._fresh if lease.shard not in shards]

    def _forget(self, session: LiveSession) -> None:
        session_id = session.state.scope.session_id
        if self._live.get(session_id) is session:
            del self._live[session_id]
        self._known = {command: owner for command, owner in self._known.items() if owner != session_id}

    def _is_quiet(self, shard: int) -> bool:
        """Nothing is on the wire in this shard, so that giving it back loses no result."""
        return all(session.can_move for session in self._live.values() if session.lease.shard == shard)

    def _evict_idle(self) -> None:
        """A session that waits costs a row, not memory."""
        for session in [session for session in self._live.values() if session.waits_at_least(_KEEP_S)]:
            session.drop()  # its timer, if it has one: the row's wake_at stands
            del self._live[session.state.scope.session_id]

    def _committed(self, shards: frozenset[int]) -> None:
        self._news |= shards
        self._announcing.set()
