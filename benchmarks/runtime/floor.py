"""The floor: what any durable step costs on this database — one row of the same size, inserted and committed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import quantiles

import asyncpg

from benchmarks.runtime.contest import Lap

_ROW_BYTES = 700  # a step's four sealed events together
_STEPS = 10
_CONNECTIONS = 16  # as many as the peers have


class Floor:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def lap(self, runs: int, each: int) -> Lap:
        took: list[float] = []
        payload = os.urandom(_ROW_BYTES)

        async def write() -> None:
            for _ in range(each * _STEPS):
                started = time.perf_counter()
                await self._pool.execute("INSERT INTO floor (payload) VALUES ($1)", payload)
                took.append((time.perf_counter() - started) * 1_000)

        started = time.perf_counter()
        await asyncio.gather(*(write() for _ in range(runs)))
        seconds = time.perf_counter() - started
        percentiles = quantiles(took, n=100)
        return Lap(len(took), len(took) / seconds, percentiles[49], percentiles[98])


async def _keep(connection: object) -> None:
    """No statements between two inserts: asyncpg's own reset would be half of what is measured."""


@asynccontextmanager
async def floor(url: str) -> AsyncIterator[Floor]:
    async with asyncpg.create_pool(url, min_size=_CONNECTIONS, max_size=_CONNECTIONS, reset=_keep) as pool:
        await pool.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, payload bytea NOT NULL)")
        yield Floor(pool)
