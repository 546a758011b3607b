"""What the database says about the platform's own processes."""

from planvault.storage.pool import Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/health.sql")


async def live_hosts(pool: Pool, within_seconds: float) -> int:
    """SessionHosts whose heartbeat is younger than `within_seconds` and that take work."""
    return int(await pool.fetchval(_SQL["live_hosts"], within_seconds))
