"""Shard leases on Postgres: who owns what, in database time, fenced by epochs."""

from __future__ import annotations

from collections.abc import Collection

from planvault.errors import BringUpFailed
from planvault.ports import ShardLease
from planvault.storage.pool import Pool
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/leases.sql")


async def create_shards(pool: Pool, count: int) -> None:
    """Make the shards the first time. Raises BringUpFailed where the database was made with another number.

    Every session's row holds its shard: another number would leave sessions that no host looks for.
    """
    await pool.execute(_SQL["create_shards"], count)
    existing = await pool.fetchval(_SQL["count_shards"])
    if existing != count:
        raise BringUpFailed(
            f"The database was made with {existing} session shards, PLANVAULT_SHARDS says {count}. "
            f"The number is fixed for the life of a database: set PLANVAULT_SHARDS={existing}."
        )


class PostgresLeases:
    """One host's view. `lease_s`: a host silent for longer loses its shards. `cluster`: whose hosts drain together."""

    def __init__(self, pool: Pool, host: str, build_id: str, lease_s: float, cluster: str = "") -> None:
        self._cluster = cluster
        self._pool = pool
        self._host = host
        self._build_id = build_id
        self._lease_s = lease_s

    async def create_shards(self, count: int) -> None:
        await create_shards(self._pool, count)

    async def beat(self, *, draining: bool = False) -> bool:
        row = (self._host, self._build_id, draining, self._cluster)
        return bool(await self._pool.fetchval(_SQL["beat"], *row))

    async def live_hosts(self) -> list[str]:
        return [row["id"] for row in await self._pool.fetch(_SQL["live"], self._lease_s)]

    async def acquire(self, shards: Collection[int]) -> list[ShardLease]:
        """Those of `shards` that were free, or whose owner fell silent; each under a new epoch."""
        rows = await self._pool.fetch(_SQL["acquire"], list(shards), self._host, self._lease_s)
        return [ShardLease(row["shard"], row["epoch"]) for row in rows]

    async def owned(self) -> list[ShardLease]:
        return [ShardLease(row["shard"], row["epoch"]) for row in await self._pool.fetch(_SQL["owned"], self._host)]

    async def release(self, leases: Collection[ShardLease]) -> None:
        shards, epochs = [lease.shard for lease in leases], [lease.epoch for lease in leases]
        await self._pool.execute(_SQL["release"], shards, epochs, self._host)

    async def forget(self) -> None:
        await self._pool.execute(_SQL["forget"], self._host)
