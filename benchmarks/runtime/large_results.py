"""Twenty large responses at once through one SessionHost: how late its event loop is, and what memory they cost it.

`python -m benchmarks.runtime.large_results [--json FILE]`; `large_results` is the part that others call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import facts, fdatasync_ms
from benchmarks.runtime.large_host import TOOL
from benchmarks.runtime.large_service import sending
from benchmarks.runtime.server import throw_away
from models.commands import CommandKind, Message
from models.ids import MessageId, SessionId, ToolId, shard_of
from models.policies import PlanApprovalMode, ProjectSettings, RunLimits, SessionSettings
from models.tenants import ProjectScope, SessionScope
from models.tools import HttpBinding, Idempotency, Tool, ToolSource
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.settings import Settings
from planvault.storage import catalog, catalog_tools, tool_index
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.commands import Commands
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate
from planvault.storage.pool import Pool, open_pool, transaction
from planvault.storage.sessions import SessionDraft, Sessions
from retrieval.index.entries import index_row

BODY_BYTES = 20 * 1024 * 1024
_PATIENCE_S = 300.0
_ROOM = 1024 * 1024  # a body is a little larger or smaller than asked for


async def large_results(url: str, folder: Path, responses: int = 20, size: int = BODY_BYTES) -> dict[str, Any]:
    """One warm-up run, then `responses` runs at once, each of which gets a body of `size` bytes and reads two fields.

    `stallMs…`: lateness of the host's event loop; `ownMs…`: the part of it that is the host's own work;
    `memoryGrowthBytes`: its peak over what it held before, workers left out; `bodies`: that in bodies.
    """
    await migrate(url)
    place = {"DATABASE_URL": url, "PLANVAULT_DATA_DIR": str(folder)}
    environment = {**os.environ, **place, "PLANVAULT_EGRESS_ALLOW_LOOPBACK": "true"}  # where its service is
    settings = Settings(data_dir=folder, database_url=url)
    with sending(size) as (base_url, length):
        async with await open_pool(url, name="benchmark", maximum=8) as pool:
            keyring = PostgresKeyring(pool, LocalKeyWrapper.at(settings.keyset), TimeOrderedIds())
            prompts = _Prompts(pool, keyring, await _tenant(pool, base_url, size), settings.shards)
            async with _host(environment) as host:
                await prompts.run(1)  # the worker starts, connections open
                await host.ask("start")
                started = time.perf_counter()
                await prompts.run(responses)
                took = time.perf_counter() - started
                figures: dict[str, Any] = json.loads(await host.ask("stop"))
    return {
        "responses": responses,
        "bodyBytes": length,
        "seconds": round(took, 2),
        **figures,
        "bodies": round(figures["memoryGrowthBytes"] / length, 2),
    }


class _Prompts:
    def __init__(self, pool: Pool, keyring: PostgresKeyring, scope: ProjectScope, shards: int) -> None:
        self._pool = pool
        self._scope = scope
        self._shards = shards
        self._ids = TimeOrderedIds()
        self._sessions = Sessions(pool, keyring, keyring.pseudonym, shards)
        self._commands = Commands(pool, keyring, self._ids)

    async def run(self, count: int) -> None:
        """As many sessions with one prompt each, all at once; returns when every run has completed."""
        scopes = [await self._session() for _ in range(count)]
        await asyncio.gather(*map(self._say, scopes))
        query = "SELECT status, count(*) AS runs FROM runs WHERE session_id = ANY($1) GROUP BY status"
        ids = [scope.session_id for scope in scopes]
        async with asyncio.timeout(_PATIENCE_S):
            counts: dict[str, int] = {}
            while counts.get("completed", 0) < count:
                await asyncio.sleep(0.1)
                counts = {row["status"]: row["runs"] for row in await self._pool.fetch(query, ids)}
                if counts.keys() - {"planning", "executing", "completed"}:
                    raise RuntimeError(f"runs ended as {sorted(counts)}")

    async def _session(self) -> SessionScope:
        session_id = SessionId(self._ids.new())
        async with transaction(self._pool) as connection:
            draft = SessionDraft({}, {}, (), None, SessionSettings())
            await self._sessions.insert(connection, self._scope, session_id, draft)
        return SessionScope(**self._scope.model_dump(), session_id=session_id)

    async def _say(self, scope: SessionScope) -> None:
        message = Message(message_id=MessageId(self._ids.new()), text="large")
        async with transaction(self._pool) as connection:
            await self._commands.enqueue(connection, scope, CommandKind.MESSAGE, message)
        await self._commands.wake(shard_of(scope.session_id, self._shards))


class _Host:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, word: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        return await self.line()

    async def line(self) -> str:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the benchmark's host ended")
        return line.decode().strip()


@asynccontextmanager
async def _host(environment: dict[str, str]) -> AsyncIterator[_Host]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.runtime.large_host",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    host = _Host(process)
    try:
        while await host.line() != "ready":
            pass  # what libraries say when they are imported
        yield host
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _tenant(pool: Pool, base_url: str, size: int) -> ProjectScope:
    ids = TimeOrderedIds()
    tenant = await ensure_default_tenant(pool, ids)
    scope = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    limits = RunLimits(max_result_bytes=size + _ROOM)
    settings = ProjectSettings(plan_approval_mode=PlanApprovalMode.AUTO, limits=limits).model_dump(mode="json")
    await pool.execute("UPDATE projects SET settings = $2 WHERE id = $1", scope.project_id, settings)
    async with transaction(pool) as connection:
        integration = await catalog.create_integration(
            connection,
            scope,
            ids.new(),  # type: ignore[arg-type]
            alias="large",
            display_name="Large",
            source=ToolSource.OPENAPI,
            base_url=base_url,
        )
        tool = Tool(
            id=ToolId(ids.new()),
            org_id=scope.org_id,
            integration_id=integration.id,
            name=TOOL,
            group="benchmark",
            binding=HttpBinding(method="GET", path="/orders"),
            idempotency=Idempotency.SAFE,
            timeout_s=120.0,
        )
        await catalog_tools.insert_tools(connection, scope, [(tool, TOOL)])
        await tool_index.upsert(connection, scope, [index_row(tool)])
    return scope


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime.large_results", description=__doc__)
    parser.add_argument("--json", type=Path, help="write machine facts and the figures to this file")
    arguments = parser.parse_args()
    with throw_away() as server:
        figures = asyncio.run(large_results(server.url, server.folder))
    shown = {"machine": facts(), "fdatasyncMs": round(fdatasync_ms(), 3), "largeResults": figures}
    print(json.dumps(shown, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
