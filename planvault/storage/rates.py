"""Buckets of rate limits in Postgres: one statement takes from many, whosever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from planvault.storage.pool import Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/rates.sql")

LONGEST_DEBT_S = 86_400.0
ANSWER_S = 1.0  # the longest that a request may wait for it


class PostgresRates:
    """Implements serve_apps.limits.meter.Rates. `pool`: its own, since requests that hold the others wait for this."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(self, weights: Mapping[bytes, float]) -> Mapping[bytes, float]:
        """`weights`: seconds to take (negative: to give back) by bucket, a digest of 16 bytes; for each the seconds
        that it is from full. Raises TimeoutError after ANSWER_S, and what asyncpg does where the database is away.
        """
        subjects, seconds = list(weights), list(weights.values())
        async with asyncio.timeout(ANSWER_S):
            rows = await self._pool.fetch(_SQL["take"], subjects, seconds, LONGEST_DEBT_S)
        return {row["subject"]: row["ahead"] for row in rows}
