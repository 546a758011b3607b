"""WAL flushes, counted by the server for each of its backends: what a durable step really waits for."""

from __future__ import annotations

import asyncpg

from planvault.storage.pool import Pool

# PostgreSQL 18 counts I/O by backend; who is gone is not counted, but pools keep their connections.
_BY_NAME = """
SELECT a.application_name AS name, sum(io.fsyncs)::bigint AS flushes
FROM pg_stat_activity a CROSS JOIN LATERAL pg_stat_get_backend_io(a.pid) AS io
WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND io.object = 'wal'
GROUP BY a.application_name"""
_COUNTED_FROM = 180_000


async def wal_flushes(pool: Pool) -> dict[str, int] | None:
    """fsyncs of the WAL so far by application name; None where the server does not count them.

    A busy backend reports at most once a second, an idle one within ten.
    """
    version = int(await pool.fetchval("SELECT current_setting('server_version_num')"))
    if version < _COUNTED_FROM:
        return None
    rows: list[asyncpg.Record] = await pool.fetch(_BY_NAME)
    return {row["name"]: row["flushes"] for row in rows}
