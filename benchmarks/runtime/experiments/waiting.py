"""Fifty thousand sessions that wait: what they cost the others, and how soon one of them wakes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from benchmarks.runtime.client import Client
from benchmarks.runtime.contest import contest
from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.ours import Ours
from benchmarks.runtime.platform import Platform, platform
from benchmarks.runtime.processor import Processor
from benchmarks.runtime.tools import CAREFUL, RECORD
from models.commands import CommandKind
from models.tenants import SessionScope

_WAITING, _QUICK_WAITING = 50_000, 2_000
_PORTION = 2_000  # begun at once
_RUNS, _EACH, _LAPS, _QUICK_LAPS = 32, 20, 7, 2
_WOKEN = 100
_EMPTY, _FULL = "empty platform", "with those that wait"
_DAY_S, _NAP_S = 86_400, 5
_EVICTED_S = 10.0


async def run(place: Place) -> list[Row]:
    """Half of them wait for a person, half for a time tomorrow. Two databases of one server take turns."""
    waiting = _QUICK_WAITING if place.quick else _WAITING
    url = await place.server.database("empty"), await place.server.database("full")
    async with platform(url[0], place.service) as empty, platform(url[1], place.service) as full:
        for made in (empty, full):
            await Ours(made.client, "chain", RECORD).lap(_RUNS, 2)
        asked = await _fill(full.client, waiting)
        await asyncio.sleep(_EVICTED_S)
        turns = {name: (Ours(made.client, "chain", RECORD), _EACH) for name, made in ((_EMPTY, empty), (_FULL, full))}
        processor = Processor(place.server.postmaster)
        standings = await contest(turns, _RUNS, _QUICK_LAPS if place.quick else _LAPS, processor)
        without, with_ = standings
        memory = [await made.hosts[0].memory.remote() for made in (empty, full)]
        kept = (await full.hosts[0].stats.remote())["sessions"]
        approvals, naps = await _approvals_ms(full, asked[:_WOKEN]), await _naps_ms(full.client)
    return [
        {"what": "sessions that wait", "value": waiting},
        {"what": "… of them in the host's memory", "value": kept},
        {"what": "step p99 of the others, empty, ms", "value": without.p99_ms},
        {"what": "step p99 of the others, full, ms", "value": with_.p99_ms},
        {"what": "… full over empty (target 1.10)", "value": round(with_.p99_ms / without.p99_ms, 3)},
        {"what": "steps/s of the others, full over empty", "value": round(with_.steps_per_s / without.steps_per_s, 3)},
        {"what": "memory of the host beyond the empty one's, MiB", "value": round((memory[1] - memory[0]) / 2**20, 1)},
        {"what": "answer to step, ms, p50 / p99", "value": _shown(approvals)},
        {"what": "lateness of a timer, ms, p50 / p99", "value": _shown(naps)},
    ]


def _shown(milliseconds: list[float]) -> str:
    percentiles = quantiles(milliseconds, n=100)
    return f"{percentiles[49]:.1f} / {percentiles[98]:.1f}"


async def _fill(client: Client, count: int) -> list[SessionScope]:
    """Returns those that wait for a person."""
    asked: list[SessionScope] = []
    for _ in range(0, count, _PORTION):
        people, times = await client.sessions(_PORTION // 2), await client.sessions(_PORTION // 2)
        await client.say_all(people, f"chain {CAREFUL} 1")
        await client.say_all(times, f"nap sleep {_DAY_S}")
        await client.all_are(people, "awaiting_confirmation", len(people))
        await client.all_have(times, "tool_start")
        asked += people
    return asked


async def _approvals_ms(made: Platform, scopes: list[SessionScope]) -> list[float]:
    """From the answer's command to the first step behind it, of sessions that are in nobody's memory."""
    took = []
    for scope in scopes:
        began = datetime.now(UTC)
        await made.client.act(scope, CommandKind.APPROVE)
        await made.client.all_are([scope], "completed", 1)
        took.append((await made.client.last_at([scope], "tool_start") - began) / timedelta(milliseconds=1))
    return took


async def _naps_ms(client: Client) -> list[float]:
    """How much longer than asked for a pause is, each measured in its own run."""
    scopes = await client.sessions(_WOKEN)
    await client.say_all(scopes, f"nap sleep {_NAP_S}")
    await client.all_are(scopes, "completed", len(scopes))
    rows = await client.pool.fetch(
        """SELECT extract(epoch FROM max(at) FILTER (WHERE type = 'tool_end')
                  - min(at) FILTER (WHERE type = 'tool_start')) * 1000 AS ms
           FROM events WHERE session_id = ANY($1) GROUP BY session_id""",
        [scope.session_id for scope in scopes],
    )
    return [float(row["ms"]) - _NAP_S * 1_000 for row in rows]
