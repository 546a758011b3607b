"""Durable steps: ten trivial local tools in a row, ours beside the peers and the floor, 1, 32 and 256 at once."""

from __future__ import annotations

from contextlib import AsyncExitStack

from benchmarks.runtime.contest import Contestant, Standing, contest
from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.floor import floor
from benchmarks.runtime.ours import Ours
from benchmarks.runtime.peers.process import peer
from benchmarks.runtime.platform import platform
from benchmarks.runtime.processor import Processor
from benchmarks.runtime.tools import RECORD

OURS, OURS_ONE, FLOOR = "planvault, two hosts", "planvault, one host", "floor: insert + commit"
DBOS = ("dbos, threads", "dbos, asyncio")
LANGGRAPH, LANGGRAPH_EACH = "langgraph, one saver", "langgraph, a saver a run"
RUNS = (1, 32, 256)

# Runs in a row that a contestant makes in one lap, so that a lap takes some seconds, by how many run at once.
_EACH = {
    OURS: {1: 150, 32: 40, 256: 6},
    OURS_ONE: {1: 150, 32: 40, 256: 6},
    FLOOR: {1: 500, 32: 150, 256: 20},
    DBOS[0]: {1: 30, 32: 4, 256: 1},
    DBOS[1]: {1: 30, 32: 4, 256: 1},
    LANGGRAPH: {1: 60, 32: 6, 256: 1},
    LANGGRAPH_EACH: {1: 60, 32: 8, 256: 1},
}
_LAPS, _QUICK_LAPS, _QUICK = 5, 2, 3


async def run(place: Place) -> list[Row]:
    async with AsyncExitStack() as stack:
        contestants = await _contestants(place, stack)
        rows: list[Row] = []
        processor = Processor(place.server.postmaster)
        for runs in RUNS:
            turns = {name: (one, _each(name, runs, place.quick)) for name, one in contestants.items()}
            warm = {name: (one, max(1, each // 10)) for name, (one, each) in turns.items()}
            await contest(warm, runs, 1, processor)
            rows += _with_ratios(await contest(turns, runs, _QUICK_LAPS if place.quick else _LAPS, processor))
        return rows


async def _contestants(place: Place, stack: AsyncExitStack) -> dict[str, Contestant]:
    server = place.server
    contestants: dict[str, Contestant] = {FLOOR: await stack.enter_async_context(floor(await server.database("floor")))}
    if place.peers is not None:
        starts = {
            DBOS[0]: ("dbos_steps", "dbos_threads", "threads"),
            DBOS[1]: ("dbos_steps", "dbos_asyncio", "asyncio"),
            LANGGRAPH: ("langgraph_steps", "langgraph_shared", "shared"),
            LANGGRAPH_EACH: ("langgraph_steps", "langgraph_each", "each"),
        }
        for name, (module, database, way) in starts.items():
            url = await server.database(database)
            contestants[name] = await stack.enter_async_context(peer(place.peers, module, url, way))
    for name, hosts in ((OURS_ONE, 1), (OURS, 2)):  # two is the platform's default
        url = await server.database(f"steps_{hosts}")
        made = await stack.enter_async_context(platform(url, place.service, hosts=hosts))
        contestants[name] = Ours(made.client, "chain", RECORD)
    return contestants


def _each(name: str, runs: int, quick: bool) -> int:
    each = _EACH[name][runs]
    return max(1, each // _QUICK) if quick else each


def _with_ratios(standings: list[Standing]) -> list[Row]:
    """`oursIsTimes`: our steps a second over theirs, medians of laps that took turns; `…ByCpu`: by processor time."""
    ours = next(standing for standing in standings if standing.name == OURS)
    return [
        {
            "what": standing.name,
            "runsAtOnce": standing.runs,
            "stepsPerSecond": standing.steps_per_s,
            "slowestLap": standing.slowest,
            "fastestLap": standing.fastest,
            "oursIsTimes": round(ours.steps_per_s / standing.steps_per_s, 2),
            "stepMsP50": standing.p50_ms,
            "stepMsP99": standing.p99_ms,
            "cpuUsPerStep": standing.cpu_us,
            "oursIsTimesByCpu": round(standing.cpu_us / ours.cpu_us, 2),
            "fdatasyncMs": standing.fdatasync_ms,
            "laps": standing.laps,
        }
        for standing in standings
    ]
