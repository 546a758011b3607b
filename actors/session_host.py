"""A process that owns shards of sessions. Plain; `actors.classes` makes an actor of it."""

from __future__ import annotations

import asyncio

import structlog

from actors.memory import settle_memory
from planvault.ports import Embedder, Planner, ToolWorkers
from planvault.redact import Redactor
from planvault.runtime.host import SessionRuntime
from planvault.settings import Settings
from planvault.storage.hints import COMMANDS, Hints
from planvault.storage.listen import listen
from planvault.storage.redis_link import open_link
from planvault.wiring import Around, open_session_runtime

_log = structlog.get_logger(__name__)

_RESTART_S = 1.0


class SessionHost:
    """Runs one SessionRuntime after another: what ends one (a lost database at start, a bug) is logged, then tried
    again under a new host id, so that nothing the old one still does can be taken for the new one's.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        redactor: Redactor,
        embedder: Embedder,
        planner: Planner,
        around: Around | None = None,
        *,
        cluster: str = "",
        workers: ToolWorkers | None = None,
    ) -> None:
        self._cluster = cluster
        self._workers = workers
        self._name = name
        self._settings = settings
        self._redactor = redactor
        self._embedder = embedder
        self._planner = planner
        self._around = around
        self._runtime: SessionRuntime | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    @property
    def stats(self) -> dict[str, int]:
        """Shards owned, sessions in memory, commands taken; empty while there is no runtime."""
        return self._runtime.stats if self._runtime is not None else {}

    async def drain(self) -> None:
        """Give all shards back, then stop. Calls in flight are waited for."""
        if self._runtime is not None:
            await self._runtime.drain()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            try:
                await self._run_once()
            # The process must outlive whatever ended its runtime; the cause is in the log.
            except Exception:  # noqa: BLE001
                _log.exception("session_host.runtime_ended", host=self._name)
            await asyncio.sleep(_RESTART_S)

    async def _run_once(self) -> None:
        async with open_link(self._settings.redis_url) as link:
            await self._own_shards(None if link is None else Hints(link, self._settings.redis_url))

    async def _own_shards(self, hints: Hints | None) -> None:
        parts = (self._settings, self._name, self._redactor, self._embedder, self._planner, self._around)
        async with open_session_runtime(*parts, hints=hints, cluster=self._cluster, workers=self._workers) as runtime:
            self._runtime = runtime
            settle_memory()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(runtime.run())
                    tasks.create_task(listen(self._settings.platform_url, COMMANDS, self._woken))
                    if hints is not None:
                        tasks.create_task(hints.hear(COMMANDS, self._woken))
            finally:
                self._runtime = None

    def _woken(self, payload: str) -> None:
        if self._runtime is not None:
            self._runtime.wake([int(shard) for shard in payload.split(",") if shard.isdigit()])
