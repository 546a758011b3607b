"""The real SessionHost in a Ray actor, with the embedder and the planner, which are not measured, replaced."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import ray

from actors.session_host import SessionHost
from benchmarks.runtime.planning_once import PlanningOnce
from benchmarks.runtime.plans import FixedPlanner
from planvault.ports import Span, Vector
from planvault.redact import Redactor
from planvault.settings import Settings
from planvault.wiring import Around


class ConstantEmbedder:
    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] + [0.0] * 383 for _ in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[begin:end] for begin, end in spans)])


@ray.remote
class BenchmarkHost:
    """Restarted by Ray when it is killed, like the platform's own."""

    def __init__(self, name: str, database_url: str, events: Path | None = None) -> None:
        self._started_at = time.time()
        store = {} if events is None else {"session_store": "file", "events_dir": events}
        settings = Settings().model_copy(update={"database_url": database_url, **store})
        around = Around(runner=PlanningOnce)
        self._host = SessionHost(name, settings, Redactor(), ConstantEmbedder(), FixedPlanner(), around)
        self._host.start()

    async def shards(self) -> int:
        return self._host.stats.get("shards", 0)

    async def stats(self) -> dict[str, int]:
        return self._host.stats

    async def pid(self) -> int:
        return os.getpid()

    async def started_at(self) -> float:
        """Seconds since 1970 when this life of the actor began; Ray may have started its process before."""
        return self._started_at

    async def memory(self) -> int:
        """Resident bytes, the worker processes that it started included."""
        process = psutil.Process()
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
