"""Twenty answers of 20 MB at once: how late the host's event loop is, and what memory they cost."""

from __future__ import annotations

from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.large_results import large_results

_ANSWERS, _QUICK_ANSWERS = 20, 5


async def run(place: Place) -> list[Row]:
    answers = _QUICK_ANSWERS if place.quick else _ANSWERS
    figures = await large_results(await place.server.database("large"), place.server.folder, answers)
    return [{"what": f"{answers} answers of 20 MB", **figures, "target": "stall p99 ≤ 50 ms, at most 3 bodies"}]
