"""Tells all hosts of one Ray cluster to give their shards back, and waits for it: before that cluster is stopped."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from planvault.storage.pool import Role
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/leases.sql")
_log = structlog.get_logger(__name__)

_CONNECT_S = 2.0
_LOOK_S = 0.05
_AFTERWARDS_S = 30.0  # the order stands so long while the cluster ends; hosts that were not ended go on then


async def drain_cluster(url: str, cluster: str, *, within_s: float, lease_s: float) -> bool:
    """True once no live host of `cluster` owns a shard; false after `within_s` seconds, or without a database.

    Calls on the wire are waited for. Whatever is still on the wire then is cut off, as a crash would.
    """
    try:
        async with asyncio.timeout(within_s):
            await _drained(url, cluster, within_s, lease_s)
    # A database that has gone cannot be told; what was on the wire is what a crash leaves.
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        _log.warning("cluster.not_drained", cluster=cluster, cause=type(fault).__name__)
        return False
    return True


async def _drained(url: str, cluster: str, within_s: float, lease_s: float) -> None:
    settings = {"application_name": "planvault/drain", "role": Role.PLATFORM.value}
    connection = await asyncpg.connect(url, timeout=_CONNECT_S, server_settings=settings)
    try:
        await connection.execute(_SQL["order_drain"], cluster, within_s + _AFTERWARDS_S)
        while True:
            if not await connection.fetchval(_SQL["still_owned"], cluster, lease_s):
                return
            await asyncio.sleep(_LOOK_S)
    finally:
        await connection.close(timeout=1.0)
