"""Commits a step at one run, counted by the server as flushes of its WAL."""

from __future__ import annotations

import asyncio

from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.flushes import wal_flushes
from benchmarks.runtime.ours import STEPS
from benchmarks.runtime.platform import Platform, platform
from benchmarks.runtime.tools import RECORD

_REPORTED_S = 11.0  # an idle backend has reported its counts by then
_RECORD, _CLIENT = "planvault/record", "planvault/benchmark"  # who appends events; who writes prompts, as the API does
_LONG = 11 * STEPS


async def run(place: Place) -> list[Row]:
    """Ten-step runs one after the other, and longer ones: what they add is a step without its run."""
    runs = 30 if place.quick else 200
    async with platform(await place.server.database("commits"), place.service) as made:
        await _during(made, 1, STEPS)
        short = await _during(made, runs, STEPS)
        long = await _during(made, runs // 10, _LONG)
    if short is None or long is None:
        return [{"what": "this server does not count flushes by backend (PostgreSQL 18 does)"}]
    a_run, a_prompt = short.get(_RECORD, 0) / runs, short.get(_CLIENT, 0) / runs
    more = long.get(_RECORD, 0) / (runs // 10) - a_run
    return [
        _row("a step, without its run", more / (_LONG - STEPS), "1"),
        _row("a step of a ten-step run, its plan and reply included", a_run / STEPS, "at most 1.3"),
        _row("… and the prompt, which the API commits", (a_run + a_prompt) / STEPS, ""),
    ]


def _row(what: str, flushes: float, target: str) -> Row:
    return {"what": what, "walFlushes": round(flushes, 3), "target": target}


async def _during(made: Platform, runs: int, steps: int) -> dict[str, int] | None:
    """Flushes by who made them, while so many prompts run one after the other."""
    client = made.client
    before = await wal_flushes(client.pool)
    scope = await client.session()
    for done in range(runs):
        await client.say(scope, f"chain {RECORD} {steps}")
        await client.all_are([scope], "completed", done + 1)
    await asyncio.sleep(_REPORTED_S)
    after = await wal_flushes(client.pool)
    if before is None or after is None:
        return None
    return {name: flushes - before.get(name, 0) for name, flushes in after.items()}
