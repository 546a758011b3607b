"""The floor: what any durable step costs on this database — one row of the same size, inserted and committed."""

import asyncio
import os
import time
from statistics import median

import asyncpg

_ROW_BYTES = 700  # a step's four sealed events together


async def insert_commit(url: str, sessions: int, seconds: float) -> dict[str, float]:
    """Rows committed one by one by so many writers at once: rate, and the median latency of one."""
    pool = await asyncpg.create_pool(url, min_size=sessions, max_size=sessions)
    took: list[float] = []
    try:
        await pool.execute("CREATE TABLE IF NOT EXISTS floor (id bigserial PRIMARY KEY, payload bytea NOT NULL)")
        payload = os.urandom(_ROW_BYTES)
        end = time.perf_counter() + seconds

        async def write() -> None:
            async with pool.acquire() as connection:
                insert = await connection.prepare("INSERT INTO floor (payload) VALUES ($1)")
                while (started := time.perf_counter()) < end:
                    await insert.fetch(payload)
                    took.append(time.perf_counter() - started)

        await asyncio.gather(*(write() for _ in range(sessions)))
        await pool.execute("DROP TABLE floor")
    finally:
        await pool.close()
    return {"stepsPerSecond": round(len(took) / seconds, 1), "stepMsP50": round(median(took) * 1_000, 3)}
