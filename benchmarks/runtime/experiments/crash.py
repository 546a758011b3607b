"""Killed inside a step, after its effect and before its checkpoint: how often the effect happens again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.peers.process import ROOT
from benchmarks.runtime.platform import Platform, platform
from benchmarks.runtime.tools import EFFECT
from benchmarks.runtime.witness import Witness, witness

_KILLS, _QUICK_KILLS = 10, 3
_PEERS = {"dbos": "dbos_crash", "langgraph, durability sync": "langgraph_crash"}


async def run(place: Place) -> list[Row]:
    kills = _QUICK_KILLS if place.quick else _KILLS
    rows: list[Row] = []
    async with witness() as seen:
        if place.peers is not None:
            for name, module in _PEERS.items():
                url = await place.server.database(module)
                repeated = [await _peer(place.peers, module, url, seen, f"run-{number}") for number in range(kills)]
                rows.append(_row(name, repeated, "completed"))
        async with platform(await place.server.database("crash"), seen.url) as made:
            rows.append(_row("planvault", [await _ours(made, seen) for _ in range(kills)], "needs_manual_recovery"))
    return rows


def _row(name: str, repeated: list[int], ends: str) -> Row:
    return {
        "what": name,
        "kills": len(repeated),
        "effectsRepeated": sum(repeated),
        "perTenKills": round(10 * sum(repeated) / len(repeated), 1),
        "runEndsAs": ends,
    }


async def _peer(python: Path, module: str, url: str, seen: Witness, run_name: str) -> int:
    """Effects beyond the first, after one kill and one start more."""
    process = await _start(python, module, url, seen.url, run_name)
    seen.arm(process.pid)
    await process.wait()
    process = await _start(python, module, url, seen.url, run_name)
    said, _ = await process.communicate()
    if said.decode().split()[-1:] != ["done"]:
        raise RuntimeError(f"{module} did not finish after it was killed")
    return seen.effects - 1


async def _start(python: Path, module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        python,
        *("-m", f"benchmarks.runtime.peers.{module}", *arguments),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )


async def _ours(made: Platform, seen: Witness) -> int:
    """The host's actor is killed and comes back by itself; the run waits for an operator then."""
    scope = await made.client.session()
    seen.arm(await made.hosts[0].pid.remote())
    await made.client.say(scope, f"chain {EFFECT} 1")
    await made.client.all_are([scope], "needs_manual_recovery", 1)
    await made.all_owned()
    return seen.effects - 1
