"""A platform to measure: a migrated database, a tenant with the workloads' tools, hosts in Ray actors."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import ray

from benchmarks.runtime.client import Client
from benchmarks.runtime.host import BenchmarkHost
from benchmarks.runtime.tools import catalog as workload_tools
from models.ids import IntegrationId
from models.policies import PlanApprovalMode, ProjectSettings, RunLimits
from models.tenants import ProjectScope
from models.tools import ToolSource
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.ingestion.native import install_native_tools
from planvault.settings import Settings
from planvault.storage import catalog, catalog_tools, tool_index
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate
from planvault.storage.pool import Pool, open_pool, transaction
from retrieval.index.entries import index_row

_NO_LIMITS = RunLimits(max_tool_calls=1_000_000, max_loop_iterations=1_000_000)
_STARTS_S = 60.0
_LOOKS_S = 0.05


class Platform:
    """`hosts` are actor handles; Ray's own types know nothing of the methods behind them."""

    def __init__(self, client: Client, hosts: list[Any], shards: int) -> None:
        self.client = client
        self.hosts = hosts
        self._shards = shards

    async def owned(self) -> list[int]:
        """Shards a host owns, by host."""
        return [await host.shards.remote() for host in self.hosts]

    async def all_owned(self) -> None:
        """Hosts find each other by heartbeats; Ray offers no event across processes to wait on."""
        async with asyncio.timeout(_STARTS_S):
            while True:
                owned = await self.owned()
                if sum(owned) == self._shards and all(owned):
                    return
                await asyncio.sleep(_LOOKS_S)


@contextmanager
def local_ray(folder: Path) -> Iterator[None]:
    os.environ |= {
        "PLANVAULT_DATA_DIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PLANVAULT_EGRESS_ALLOW_LOOPBACK": "true",  # where its service is
    }
    ray.init("local", include_dashboard=False, num_cpus=2, logging_level=logging.ERROR, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


@asynccontextmanager
async def platform(url: str, service: str, *, hosts: int = 1, events: Path | None = None) -> AsyncIterator[Platform]:
    """Inside `local_ray`. The database at `url` is empty or was made by an earlier call.

    `events`: the folder in which hosts keep session events; None: rows of the database.
    """
    await migrate(url)
    settings, ids = Settings(), TimeOrderedIds()
    # Keys are read inside transactions of the other pool; from it, as many as it holds would wait for each other.
    async with (
        await open_pool(url, name="benchmark-keys", maximum=1) as keys,
        await open_pool(url, name="benchmark", maximum=8) as pool,
    ):
        keyring = PostgresKeyring(keys, LocalKeyWrapper.at(settings.keyset), ids)
        scope = await _tenant(pool, ids, service)
        actor: Any = BenchmarkHost
        options = actor.options(max_concurrency=1_000, num_cpus=0, max_restarts=-1, max_task_retries=0)
        running = [options.remote(f"benchmark-{number}", url, events) for number in range(hosts)]
        made = Platform(Client(pool, keyring, scope, settings.shards), running, settings.shards)
        try:
            await made.all_owned()
            yield made
        finally:
            for host in running:
                ray.kill(host)


async def _tenant(pool: Pool, ids: TimeOrderedIds, service: str) -> ProjectScope:
    tenant = await ensure_default_tenant(pool, ids)
    scope = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    settings = ProjectSettings(plan_approval_mode=PlanApprovalMode.AUTO, limits=_NO_LIMITS).model_dump(mode="json")
    await pool.execute("UPDATE projects SET settings = $2 WHERE id = $1", scope.project_id, settings)
    async with transaction(pool) as connection:
        integration = await catalog.create_integration(
            connection,
            scope,
            IntegrationId(ids.new()),
            alias="benchmark",
            display_name="Benchmark",
            source=ToolSource.OPENAPI,
            base_url=service,
        )
        tools = workload_tools(ids, scope.org_id, integration.id)
        await catalog_tools.insert_tools(connection, scope, [(tool, tool.name) for tool in tools])
        await tool_index.upsert(connection, scope, [index_row(tool) for tool in tools])
    await install_native_tools(pool, scope, ids)
    return scope
