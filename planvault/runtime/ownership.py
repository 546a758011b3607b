"""Which shards this host owns, and until when it may act on that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from planvault.ports import Clock, Leases, ShardLease

_log = structlog.get_logger(__name__)

_MARGIN = 0.25  # of the lease: clocks of a process and its database may drift apart this much


def share(host: str, hosts: list[str], shards: int) -> frozenset[int]:
    """The shards that `host` should own among `hosts`: every n-th, by its place in the sorted list."""
    living = sorted({*hosts, host})
    place = living.index(host)
    return frozenset(range(place, shards, len(living)))


class Ownership:
    """`gained` and `dropped` are told what changed; `quiet` says whether a shard can be given back now."""

    def __init__(
        self,
        host: str,
        leases: Leases,
        clock: Clock,
        *,
        shards: int,
        lease_s: float,
        gained: Callable[[list[ShardLease]], None],
        dropped: Callable[[frozenset[int]], None],
        quiet: Callable[[int], bool],
    ) -> None:
        self._host = host
        self._leases = leases
        self._clock = clock
        self._shards = shards
        self._lease_s = lease_s
        self._gained = gained
        self._dropped = dropped
        self._quiet = quiet
        self._deadline = 0.0
        self._renewed = asyncio.Event()
        self._ticking = asyncio.Lock()
        self._doubts = 0  # reasons so far to ask who owns what …
        self._answered = 0  # … and how many of them have been
        self.owned: dict[int, ShardLease] = {}
        self.draining = False  # this host leaves for good …
        self._ordered = False  # … or its whole cluster is told to, until that order ends
        self._leaving: frozenset[int] = frozenset()

    @property
    def holds(self) -> bool:
        """False once the lease may have run out, whatever the database says."""
        return self._clock.monotonic() < self._deadline

    def leaves(self, shard: int) -> bool:
        """The shard is to be given back: what is on the wire is waited for, and nothing more should go out."""
        return self.draining or self._ordered or shard in self._leaving

    async def open(self) -> None:
        """Returns while the lease surely holds. The epoch fences the record, but not the outside world."""
        while not self.holds:
            self._renewed.clear()
            await self._renewed.wait()

    def recheck(self) -> None:
        """A commit was refused: believe nothing about who owns what until the database has said it again."""
        self._doubts += 1
        self._deadline = 0.0

    async def tick(self) -> None:
        """Say that we live; take what is ours to take, give back what is not. One at a time."""
        async with self._ticking:
            await self._tick()

    async def _tick(self) -> None:
        started = self._clock.monotonic()
        in_doubt = self._answered != self._doubts or started >= self._deadline
        self._doubts += 1  # should this not come to its end, nobody knows which statements the database did
        mine = self._doubts
        self._ordered = await self._leases.beat(draining=self.draining)
        if in_doubt:
            await self._verify()
        await self._balance()
        if self._doubts == mine:
            self._answered = mine
            self._deadline = started + self._lease_s * (1 - _MARGIN)
            self._renewed.set()

    async def _verify(self) -> None:
        """We were frozen, cut off, or are new: shards whose epoch moved on are another's, or were taken anew.

        A shard that the database calls ours and we do not know was won, or not given back, in a statement whose answer
        was lost. Nobody else takes it while we live, so it is given back now.
        """
        real = {lease.shard: lease for lease in await self._leases.owned()}
        gone = frozenset(shard for shard, lease in self.owned.items() if real.get(shard) != lease)
        for shard in gone:
            del self.owned[shard]
        if gone:
            _log.warning("shards.lost", shards=sorted(gone))
            self._dropped(gone)
        stray = [lease for shard, lease in real.items() if shard not in self.owned]
        if stray:
            await self._leases.release(stray)

    async def _balance(self) -> None:
        leaving = self.draining or self._ordered
        hosts = [] if leaving else await self._leases.live_hosts()
        wanted = frozenset() if leaving else share(self._host, hosts, self._shards)
        self._leaving = frozenset(self.owned.keys() - wanted)
        missing = wanted - self.owned.keys()
        if missing:
            won = await self._leases.acquire(sorted(missing))
            self.owned |= {lease.shard: lease for lease in won}
            if won:
                _log.info("shards.acquired", count=len(won), owned=len(self.owned))
                self._gained(won)
        surplus = [lease for shard, lease in self.owned.items() if shard not in wanted and self._quiet(shard)]
        if surplus:
            for lease in surplus:
                del self.owned[lease.shard]
            self._dropped(frozenset(lease.shard for lease in surplus))
            await self._leases.release(surplus)
            _log.info("shards.released", count=len(surplus), owned=len(self.owned))
