"""What the database does not need for ever: journals of ended runs, consumed commands, aged-out answers.

History is not touched, nor anything that an open run could need. Each batch is one short statement of its own, so a
sweep may be stopped anywhere, and goes on from the rows themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

import structlog

from planvault.ports import Clock
from planvault.storage.pool import Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/retention.sql")
_log = structlog.get_logger(__name__)

ANSWERS_FOR = timedelta(hours=24)  # as sql/idempotency.sql says
LEASES_FOR = timedelta(days=1)  # after their end
BUCKETS_FOR = timedelta(minutes=1)  # of rate limits, after they are full: then none is the same as a row
ENTRIES_FOR = timedelta(days=365)  # of the routing cache, after something was counted of them last
OCCURRENCES_FOR = timedelta(days=90)  # of scheduled jobs; each job keeps its last one
RUNS_A_BATCH = 50
FILES_A_BATCH = 200
FENCES_FOR = timedelta(days=30)  # of erased sessions: for how long a host might still remember one
_ROWS_A_BATCH = 1_000
_BUCKETS_A_BATCH = 10_000  # each batch reads the table, which is small: strangers' addresses of a minute
_EXPORTS_A_BATCH = 5  # of 256 KiB a chunk
_REST = 3.0  # times the batch before: pruning takes a quarter of one connection's time, and leaves the disk to appends


class Swept(NamedTuple):
    """Of one batch. As many looked at as the batch may have: there may be more."""

    looked_at: int
    gone: int


class Pruning(Protocol):
    """One kind of what may go. `batch`: the most that `once` looks at."""

    @property
    def name(self) -> str: ...

    @property
    def batch(self) -> int: ...

    async def once(self, pool: Pool) -> Swept: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of one kind, by their age; `name` is a statement of retention.sql."""

    name: str
    older_than: timedelta
    batch: int

    async def once(self, pool: Pool) -> Swept:
        row = await pool.fetchrow(_SQL[self.name], self.older_than, self.batch)
        assert row is not None, "an aggregate has a row"
        return Swept(row["looked_at"], row["gone"])


def rules(
    recording: timedelta, files: Sequence[Pruning] = (), *, occurrences: timedelta = OCCURRENCES_FOR
) -> tuple[Pruning, ...]:
    """`recording`: how long the journal of an ended run, and the commands it consumed, are kept.

    `files`: what prunes journals where they are not rows (`SessionStore.prunings`).
    """
    return (
        *(files or (Rule("journals", recording, RUNS_A_BATCH),)),
        Rule("commands", recording, _ROWS_A_BATCH),
        Rule("answers", ANSWERS_FOR, _ROWS_A_BATCH),
        Rule("leases", LEASES_FOR, _ROWS_A_BATCH),
        Rule("occurrences", occurrences, _ROWS_A_BATCH),
        Rule("routing_cache", ENTRIES_FOR, _ROWS_A_BATCH),
        Rule("rate_buckets", BUCKETS_FOR, _BUCKETS_A_BATCH),
        Rule("exports", timedelta(), _EXPORTS_A_BATCH),
        Rule("fences", FENCES_FOR, _ROWS_A_BATCH),
    )


class Retention:
    def __init__(self, pool: Pool, rules: Sequence[Pruning], clock: Clock) -> None:
        self._pool = pool
        self._rules = rules
        self._clock = clock

    async def sweep(self, may_go_on: Callable[[], bool] = lambda: True) -> dict[str, int]:
        """Prune until nothing is old enough, or `may_go_on` says no between two batches; what is gone, by rule."""
        gone = {rule.name: 0 for rule in self._rules}
        for rule in self._rules:
            full = True
            while full and may_go_on():
                started = self._clock.monotonic()
                swept = await rule.once(self._pool)
                gone[rule.name] += swept.gone
                full = swept.looked_at == rule.batch
                if full:
                    await asyncio.sleep(_REST * (self._clock.monotonic() - started))
        if any(gone.values()):
            _log.info("retention.swept", **gone)
        return gone
