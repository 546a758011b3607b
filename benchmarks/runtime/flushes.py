"""WAL flushes, counted by the server: what a durable step really waits for."""

from __future__ import annotations

from planvault.storage.pool import Pool

# PostgreSQL 18 counts WAL under pg_stat_io, by who wrote it; before, pg_stat_wal had one sum.
_BY_CLIENTS = "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal' AND backend_type = 'client backend'"


async def wal_flushes(pool: Pool) -> int:
    """fsyncs of the WAL by client backends since the server started. A backend reports at most once a second."""
    await pool.execute("SELECT pg_stat_force_next_flush()")
    return int(await pool.fetchval(_BY_CLIENTS) or 0)
