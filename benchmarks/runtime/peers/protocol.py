"""What a peer's process says: one JSON line a question, one a reply. Standard library only."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import quantiles


def run_names() -> Iterator[str]:
    """Names that no earlier process used."""
    started = time.time_ns()
    return (f"{started}-{number}" for number in itertools.count())


class StepTimes:
    """When the steps of each run began."""

    def __init__(self) -> None:
        self._starts: dict[str, list[float]] = {}

    def note(self, run: str) -> None:
        self._starts.setdefault(run, []).append(time.perf_counter())

    def take(self) -> list[float]:
        """Milliseconds from one step's start to the next one's in its run, all runs together; forgets them."""
        starts, self._starts = self._starts, {}
        return [(after - before) * 1_000 for run in starts.values() for before, after in itertools.pairwise(run)]


async def serve(measure: Callable[[int, int], Awaitable[None]], times: StepTimes) -> None:
    """Answer `{"runs": N, "each": M}`, N runs at once and M one after the other in each, until standard input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        started = time.perf_counter()
        await measure(asked["runs"], asked["each"])
        seconds = time.perf_counter() - started
        gaps = quantiles(times.take(), n=100)
        print(json.dumps({"seconds": seconds, "stepMsP50": gaps[49], "stepMsP99": gaps[98]}), flush=True)
