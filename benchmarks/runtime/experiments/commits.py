"""Commits a step at one run, counted by the server as flushes of its WAL."""

from __future__ import annotations

import asyncio

from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.flushes import wal_flushes
from benchmarks.runtime.ours import STEPS
from benchmarks.runtime.platform import Platform, platform
from benchmarks.runtime.tools import RECORD

_REPORTED_S = 11.0  # an idle backend has reported its counts by then


async def run(place: Place) -> list[Row]:
    runs = 50 if place.quick else 200
    async with platform(await place.server.database("commits"), place.service) as made:
        await asyncio.sleep(_REPORTED_S)
        idle = await _during(made, 0)  # heartbeats, looks at the inbox
        one_by_one = await _during(made, runs) - idle
    return [
        {
            "what": "WAL flushes a step: a prompt, its plan, ten steps, its reply",
            "runs": runs,
            "flushesPerRun": round(one_by_one / runs, 2),
            "flushesPerStep": round(one_by_one / runs / STEPS, 3),
        }
    ]


async def _during(made: Platform, runs: int) -> int:
    """Flushes while so many prompts run one after the other, and until all of them are counted."""
    client = made.client
    before = await wal_flushes(client.pool)
    scope = await client.session()
    for done in range(runs):
        await client.say(scope, f"chain {RECORD} {STEPS}")
        await client.all_are([scope], "completed", done + 1)
    await asyncio.sleep(_REPORTED_S)
    return await wal_flushes(client.pool) - before
