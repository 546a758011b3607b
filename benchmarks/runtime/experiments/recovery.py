"""A host is killed with a thousand runs open; another is frozen: how long until everything moves again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from statistics import median

from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.platform import Platform, platform
from benchmarks.runtime.tools import AGAIN

_RUNS, _QUICK_RUNS = 1_000, 200
_STEPS = 5_000  # more than a run makes while it is watched
_PATIENCE_S = 120.0
_LOOKS_S = 0.05


async def run(place: Place) -> list[Row]:
    runs = _QUICK_RUNS if place.quick else _RUNS
    async with platform(await place.server.database("killed"), place.service) as made:
        killed = await _killed(made, runs)
    async with platform(await place.server.database("frozen"), place.service, hosts=2) as made:
        frozen = await _frozen(made)
    return [killed, frozen]


async def _killed(made: Platform, runs: int) -> Row:
    """Every run is in the middle of its steps, and moves again with its first event after the kill."""
    scopes = await made.client.sessions(runs)
    await made.client.say_all(scopes, f"chain {AGAIN} {_STEPS}")
    await made.client.all_are(scopes, "executing", runs)
    died = datetime.now(UTC)
    os.kill(await made.hosts[0].pid.remote(), signal.SIGKILL)
    restarted = await _restarted(made)
    moved = await _moved(made, [scope.session_id for scope in scopes], died)
    waits = [at.timestamp() - restarted for at in moved]
    return {
        "what": f"host killed, {runs} open runs",
        "restartedAfterS": round(restarted - died.timestamp(), 2),
        "medianMovesS": round(median(waits), 2),
        "allMoveS": round(max(waits), 2),
        "target": "all within 10 s of its restart",
    }


async def _restarted(made: Platform) -> float:
    """When Ray had restarted the actor; until then it has no answer. Seconds since 1970."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                return float(await made.hosts[0].started_at.remote())
            except Exception:  # noqa: BLE001 - Ray's errors while an actor is down have no common name that is public
                await asyncio.sleep(_LOOKS_S)


async def _moved(made: Platform, sessions: list[object], died: datetime) -> list[datetime]:
    """When each session's first event after the death was decided."""
    query = "SELECT min(at) AS at FROM events WHERE session_id = ANY($1) AND at > $2 GROUP BY session_id"
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            rows = await made.client.pool.fetch(query, sessions, died)
            if len(rows) == len(sessions):
                return [row["at"] for row in rows]
            await asyncio.sleep(_LOOKS_S)


async def _frozen(made: Platform) -> Row:
    """SIGSTOP: it does not answer, and holds its connections. Its shards are taken over when its lease has run out."""
    frozen, alive = made.hosts
    pid = await frozen.pid.remote()
    everything = sum(await made.owned())
    os.kill(pid, signal.SIGSTOP)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while await alive.shards.remote() < everything:  # noqa: ASYNC110 - no event crosses processes
                await asyncio.sleep(_LOOKS_S)
        took = time.perf_counter() - started
    finally:
        os.kill(pid, signal.SIGCONT)
    return {"what": "host frozen", "allMoveS": round(took, 2), "target": "its shards elsewhere within 15 s"}
