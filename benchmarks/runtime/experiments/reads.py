"""Twenty reads of 100 ms each that need nothing of each other, in one plan: from `started` to `done`."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.platform import platform
from benchmarks.runtime.service import SLOW_S
from benchmarks.runtime.tools import SLOW

_READS = 20
_RUNS, _QUICK_RUNS = 20, 5


async def run(place: Place) -> list[Row]:
    runs = _QUICK_RUNS if place.quick else _RUNS
    async with platform(await place.server.database("reads"), place.service) as made:
        took = []
        for _ in range(runs + 1):
            scope = await made.client.session()
            await made.client.say(scope, f"apart {SLOW} {_READS}")
            await made.client.all_are([scope], "completed", 1)
            began = await made.client.last_at([scope], "started")
            took.append((await made.client.last_at([scope], "done") - began) / timedelta(milliseconds=1))
    warm = took[1:]
    return [
        {
            "what": f"{_READS} reads of {SLOW_S * 1_000:.0f} ms",
            "runs": runs,
            "medianMs": round(median(warm), 1),
            "slowestMs": round(max(warm), 1),
            "inSequenceMs": _READS * SLOW_S * 1_000,
            "target": "under 400 ms",
        }
    ]
