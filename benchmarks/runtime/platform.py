"""The real SessionHost actor on a local Ray, over a catalog of two tools."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import ray

from actors.session_host import SessionHost
from benchmarks.runtime.plans import HTTP, FixedPlanner, ping
from models.commands import CommandKind, Message
from models.ids import MessageId, SessionId, shard_of
from models.policies import PlanApprovalMode, ProjectSettings, RunLimits, SessionSettings
from models.tenants import ProjectScope, SessionScope
from models.tools import ToolSource
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.ingestion.native import install_native_tools
from planvault.ports import Vector
from planvault.redact import Redactor
from planvault.settings import Settings
from planvault.storage import catalog, catalog_tools
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.commands import Commands
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate
from planvault.storage.pool import Pool, open_pool, transaction
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.tools.native import NATIVE_TOOLS

_NO_LIMITS = RunLimits(max_tool_calls=1_000_000, max_loop_iterations=1_000_000)
_PATIENCE_S = 300.0


class ConstantEmbedder:
    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] + [0.0] * 383 for _ in texts]


@ray.remote
class BenchmarkHost:
    """SessionHostActor with the embedder and the planner, which are not measured, replaced."""

    def __init__(self) -> None:
        self._host = SessionHost("benchmark", Settings(), Redactor(), ConstantEmbedder(), FixedPlanner())
        self._host.start()

    async def owning(self) -> None:
        """Returns once the host owns its shards; Ray offers no event across processes to wait on."""
        while not self._host.stats.get("shards"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Bench:
    def __init__(self, pool: Pool, keyring: PostgresKeyring, scope: ProjectScope, shards: int) -> None:
        self._pool = pool
        self._keyring = keyring
        self._scope = scope
        self._shards = shards
        self._ids = TimeOrderedIds()
        self._sessions = Sessions(pool, keyring, keyring.pseudonym, shards)
        self._commands = Commands(pool, keyring, self._ids)

    async def measure(self, tool_name: str, sessions: int, steps: int) -> dict[str, float]:
        """Run `sessions` plans of `steps` calls at once; overhead is read off the record's own times."""
        scopes = [await self._session() for _ in range(sessions)]
        started = time.perf_counter()
        await asyncio.gather(*(self._start(scope, f"{tool_name} {steps}") for scope in scopes))
        await self._finished([scope.session_id for scope in scopes])
        took = time.perf_counter() - started
        gaps = await self._step_ms([scope.session_id for scope in scopes])
        return {
            "sessions": sessions,
            "steps": sessions * steps,
            "stepsPerSecond": round(sessions * steps / took, 1),
            "stepMsP50": round(gaps[49], 3),
            "stepMsP99": round(gaps[98], 3),
        }

    async def _session(self) -> SessionScope:
        session_id = SessionId(self._ids.new())
        async with transaction(self._pool) as connection:
            draft = SessionDraft({}, {}, (), None, SessionSettings())
            await self._sessions.insert(connection, self._scope, session_id, draft)
        return SessionScope(**self._scope.model_dump(), session_id=session_id)

    async def _start(self, scope: SessionScope, prompt: str) -> None:
        message = Message(message_id=MessageId(self._ids.new()), text=prompt)
        async with transaction(self._pool) as connection:
            await self._commands.enqueue(connection, scope, CommandKind.MESSAGE, message)
        await self._commands.wake(shard_of(scope.session_id, self._shards))

    async def _finished(self, sessions: list[SessionId]) -> None:
        deadline = time.perf_counter() + _PATIENCE_S
        query = "SELECT status, count(*) AS runs FROM runs WHERE session_id = ANY($1) GROUP BY status"
        while time.perf_counter() < deadline:
            counts = {row["status"]: row["runs"] for row in await self._pool.fetch(query, sessions)}
            if failed := counts.keys() - {"planning", "executing", "completed"}:
                raise RuntimeError(f"benchmark runs ended as {sorted(failed)}")
            if counts.get("completed", 0) == len(sessions):
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"runs did not finish within {_PATIENCE_S:.0f} s: {counts}")

    async def _step_ms(self, sessions: list[SessionId]) -> list[float]:
        """Percentiles 1 to 99 of the time from one step's start to the next one's, all sessions together."""
        rows = await self._pool.fetch(
            """SELECT extract(epoch FROM at - lag(at) OVER (PARTITION BY session_id ORDER BY seq)) * 1000 AS ms
               FROM events WHERE session_id = ANY($1) AND type = 'tool_start'""",
            sessions,
        )
        return quantiles([float(row["ms"]) for row in rows if row["ms"] is not None], n=100)


@asynccontextmanager
async def running(url: str, folder: Path, http_base_url: str) -> AsyncIterator[Bench]:
    await migrate(url)
    os.environ |= {"DATABASE_URL": url, "PLANVAULT_DATA_DIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
    settings, ids = Settings(), TimeOrderedIds()
    wrapper = LocalKeyWrapper.at(settings.keyset)
    async with await open_pool(url, name="benchmark", maximum=16) as pool:
        keyring = PostgresKeyring(pool, wrapper, ids)
        scope = await _tenant(pool, ids, http_base_url)
        ray.init("local", include_dashboard=False, num_cpus=2, logging_level=logging.ERROR, log_to_driver=False)
        try:
            host: Any = BenchmarkHost
            actor = host.options(max_concurrency=1_000, num_cpus=0).remote()
            await asyncio.wait_for(actor.owning.remote(), 30)
            yield Bench(pool, keyring, scope, settings.shards)
        finally:
            ray.shutdown()


async def _tenant(pool: Pool, ids: TimeOrderedIds, http_base_url: str) -> ProjectScope:
    tenant = await ensure_default_tenant(pool, ids)
    scope = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    settings = ProjectSettings(plan_approval_mode=PlanApprovalMode.AUTO, limits=_NO_LIMITS).model_dump(mode="json")
    await pool.execute("UPDATE projects SET settings = $2 WHERE id = $1", scope.project_id, settings)
    async with transaction(pool) as connection:
        integration = await catalog.create_integration(
            connection,
            scope,
            ids.new(),  # type: ignore[arg-type]
            alias="benchmark",
            display_name="Benchmark",
            source=ToolSource.OPENAPI,
            base_url=http_base_url,
        )
        await catalog_tools.insert_tools(connection, scope, [(ping(ids, scope.org_id, integration.id), HTTP)], "none")
    await install_native_tools(pool, scope, ids, embedding_model="none", tools=NATIVE_TOOLS)
    return scope
