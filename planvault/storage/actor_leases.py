"""Duties of which there may be one: a cluster's supervisor, the pruning of a database.

A lease keeps two holders from working at once as long as their clocks run. What a duty does must bear that its holder
before is still finishing one thing: Postgres and the names in the cluster decide, not the lease.
"""

from __future__ import annotations

from dataclasses import dataclass

from planvault.ports import Clock
from planvault.storage.pool import Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/actor_leases.sql")

_MARGIN = 0.25  # of the lease: clocks of a process and its database may drift apart this much


@dataclass(frozen=True, slots=True)
class Claimant:
    """`holder` is one process, `rank` its deployment: of two, the later one's claim goes first."""

    holder: str
    rank: str


class ActorLease:
    """One claimant's view of one duty. `lease_s`: a holder silent for longer loses it."""

    def __init__(self, pool: Pool, name: str, claimant: Claimant, clock: Clock, lease_s: float) -> None:
        self._pool = pool
        self._name = name
        self._claimant = claimant
        self._clock = clock
        self._lease_s = lease_s
        self._until = float("-inf")

    @property
    def holds(self) -> bool:
        """False once the lease may have run out, whatever the database says."""
        return self._clock.monotonic() < self._until

    async def hold(self) -> bool:
        """Take or keep the duty; false where another has it."""
        started = self._clock.monotonic()
        row = (self._name, self._claimant.holder, self._claimant.rank, self._lease_s)
        won = await self._pool.fetchval(_SQL["hold"], *row) is not None
        self._until = started + self._lease_s * (1 - _MARGIN) if won else float("-inf")
        return won

    async def is_outranked(self) -> bool:
        """Whether a later deployment has it: it will not come back."""
        return bool(await self._pool.fetchval(_SQL["outranked"], self._name, self._claimant.rank))

    async def give_up(self) -> None:
        self._until = float("-inf")
        await self._pool.execute(_SQL["give_up"], self._name, self._claimant.holder)
