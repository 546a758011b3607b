"""A SessionHost in a process of its own that watches itself: how late its event loop is, and what memory it holds.

Reads one word a line: `start` begins a measurement, `stop` ends it and prints it as a line of JSON, the end of input
ends the process. The workers that look into results are children of it; their memory is reported apart.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from statistics import quantiles

import psutil

from actors.session_host import SessionHost
from models.planning import PlanOutcome, PlanRequest
from models.plans import Call, FieldAccess, Func, IndexAccess, Lit, Plan, PlannerMode, Reply, Text, Var
from planvault.ports import Span, Vector
from planvault.redact import Redactor
from planvault.settings import Settings

TOOL = "download"
_TICK_S = 0.002
_MEMORY_S = 0.02


def plan() -> Plan:
    """`x = download(); reply(f"{len(x.items)} {x.items[7].name}")`."""
    items = FieldAccess(base=Var(name="x"), key="items")
    name = FieldAccess(base=IndexAccess(base=items, index=Lit(value=7)), key="name")
    reply = Text(parts=(Func(name="len", args=(items,)), Lit(value=" "), name))
    return Plan(body=(Call(id="n1", target="x", tool=TOOL), Reply(id="n2", expr=reply)))


class ConstantEmbedder:
    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] + [0.0] * 383 for _ in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[begin:end] for begin, end in spans)])


class LargePlanner:
    async def plan(self, request: PlanRequest) -> PlanOutcome:
        return PlanOutcome(plan=plan(), planner="benchmark", mode=PlannerMode.STRUCTURED_JSON)


class Watch:
    """Samples as long as it runs. A stall counts for every tick that it made late, not once.

    `own…`: processor time that the loop's own thread took between two ticks. What is late beyond it was the machine's.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._peak = self._before
        self._workers_peak = 0
        self._late_s: list[float] = []
        self._own_s: list[float] = []
        self._tasks = [asyncio.create_task(self._ticks()), asyncio.create_task(self._memory())]

    def stop(self) -> dict[str, float]:
        for task in self._tasks:
            task.cancel()
        ms = [late * 1000 for late in self._late_s]
        cuts = quantiles(ms, n=1000) if len(ms) > 1 else [0.0] * 999
        return {
            "stallMsP50": round(cuts[499], 2),
            "stallMsP99": round(cuts[989], 2),
            "stallMsMax": round(max(ms, default=0.0), 2),
            "ownMsP99": round(quantiles(self._own_s, n=100)[98] * 1000, 2) if len(self._own_s) > 1 else 0.0,
            "ownMsMax": round(max(self._own_s, default=0.0) * 1000, 2),
            "memoryGrowthBytes": self._peak - self._before,
            "memoryBytes": self._peak,
            "workersMemoryBytes": self._workers_peak,
        }

    async def _ticks(self) -> None:
        while True:
            before, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_TICK_S)
            late = time.perf_counter() - before - _TICK_S
            self._own_s.append(time.thread_time() - own)
            while late > 0:
                self._late_s.append(late)
                late -= _TICK_S

    async def _memory(self) -> None:
        while True:
            self._peak = max(self._peak, self._process.memory_info().rss)
            self._workers_peak = max(self._workers_peak, await asyncio.to_thread(self._workers))
            await asyncio.sleep(_MEMORY_S)

    def _workers(self) -> int:
        total = 0
        for child in self._process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total


async def main() -> None:
    host = SessionHost("benchmark", Settings(), Redactor(), ConstantEmbedder(), LargePlanner())
    host.start()
    while not host.stats.get("shards"):  # noqa: ASYNC110 - the host offers no event across its restarts
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    watch: Watch | None = None
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if word == "start":
            watch = Watch()
            print("started", flush=True)
        elif watch is not None:
            print(json.dumps(watch.stop()), flush=True)
    await host.drain()


if __name__ == "__main__":
    asyncio.run(main())
