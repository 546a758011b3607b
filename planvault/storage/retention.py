"""What the database does not need for ever: journals of ended runs, consumed commands, aged-out answers.

History is not touched, nor anything that an open run could need. Each batch is one short statement of its own, so a
sweep may be stopped anywhere, and goes on from the rows themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from planvault.ports import Clock
from planvault.storage.pool import Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/retention.sql")
_log = structlog.get_logger(__name__)

ANSWERS_FOR = timedelta(hours=24)  # as sql/idempotency.sql says
LEASES_FOR = timedelta(days=1)  # after their end
_RUNS_A_BATCH = 50
_ROWS_A_BATCH = 1_000
_REST = 3.0  # times the batch before: pruning takes a quarter of one connection's time, and leaves the disk to appends


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of one kind, by their age; `query` names a statement of retention.sql."""

    query: str
    older_than: timedelta
    batch: int


def rules(recording: timedelta) -> tuple[Rule, ...]:
    """`recording`: how long the journal of an ended run, and the commands it consumed, are kept."""
    return (
        Rule("journals", recording, _RUNS_A_BATCH),
        Rule("commands", recording, _ROWS_A_BATCH),
        Rule("answers", ANSWERS_FOR, _ROWS_A_BATCH),
        Rule("leases", LEASES_FOR, _ROWS_A_BATCH),
    )


class Retention:
    def __init__(self, pool: Pool, rules: Sequence[Rule], clock: Clock) -> None:
        self._pool = pool
        self._rules = rules
        self._clock = clock

    async def sweep(self, may_go_on: Callable[[], bool] = lambda: True) -> dict[str, int]:
        """Prune until nothing is old enough, or `may_go_on` says no between two batches; rows gone, by rule."""
        gone = {rule.query: 0 for rule in self._rules}
        for rule in self._rules:
            full = True
            while full and may_go_on():
                started = self._clock.monotonic()
                row = await self._pool.fetchrow(_SQL[rule.query], rule.older_than, rule.batch)
                assert row is not None, "an aggregate has a row"
                gone[rule.query] += row["gone"]
                full = row["looked_at"] == rule.batch
                if full:
                    await asyncio.sleep(_REST * (self._clock.monotonic() - started))
        if any(gone.values()):
            _log.info("retention.swept", **gone)
        return gone
