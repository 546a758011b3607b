"""Session events in files beside the `events` table: the ten-step workload on either, lap by lap in turns."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime

from benchmarks.machine import fdatasync_ms
from benchmarks.runtime.client import Client
from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.ours import STEPS
from benchmarks.runtime.platform import platform
from benchmarks.runtime.tools import RECORD

RUNS = {1: 100, 32: 20, 256: 4}
"""At once → in a row, so that a lap takes some seconds."""
_LAPS, _QUICK_LAPS, _QUICK = 5, 3, 4


async def run(place: Place) -> list[Row]:
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        clients: dict[str, Client] = {}
        for mode, folder in (("postgres", None), ("file", place.server.folder / "events")):
            url = await place.server.database(f"kept_in_{mode}")
            made = await stack.enter_async_context(platform(url, place.service, events=folder))
            clients[mode] = made.client
        for runs, each in RUNS.items():
            rows += await _turns(clients, runs, max(1, each // _QUICK) if place.quick else each, place.quick)
    return rows


async def _turns(clients: dict[str, Client], runs: int, each: int, quick: bool) -> list[Row]:
    rates: dict[str, list[float]] = {mode: [] for mode in clients}
    flushes = []
    for lap in range(1 + (_QUICK_LAPS if quick else _LAPS)):
        for mode, client in clients.items():
            rate = await _lap(client, runs, each)
            if lap:  # the first one warms up
                rates[mode].append(rate)
                flushes.append(fdatasync_ms(30))
    medians = {mode: sorted(found)[len(found) // 2] for mode, found in rates.items()}
    return [
        {
            "store": mode,
            "runsAtOnce": runs,
            "stepsPerSecond": round(medians[mode], 1),
            "slowestLap": round(min(rates[mode]), 1),
            "fastestLap": round(max(rates[mode]), 1),
            "ofTheTable": round(medians[mode] / medians["postgres"], 2),
            "fdatasyncMs": round(sorted(flushes)[len(flushes) // 2], 3),
        }
        for mode in clients
    ]


async def _lap(client: Client, runs: int, each: int) -> float:
    """Steps a second, to when the last run's end was committed: what tells it is a row in both modes."""
    scopes = await client.sessions(runs)
    started = datetime.now(UTC)
    await client.run_all(list(scopes), f"chain {RECORD} {STEPS}", each)
    query = "SELECT max(updated_at) FROM runs WHERE session_id = ANY($1)"
    ended = await client.pool.fetchval(query, [scope.session_id for scope in scopes])
    return runs * each * STEPS / float((ended - started).total_seconds())
