"""`python -m benchmarks.runtime [--json FILE]`: steps a second and milliseconds a step, beside the database's floor."""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import facts, fdatasync_ms
from benchmarks.runtime.database import throw_away
from benchmarks.runtime.floor import insert_commit
from benchmarks.runtime.plans import HTTP, NATIVE
from benchmarks.runtime.platform import running
from benchmarks.runtime.service import answering

_WORKLOADS = ((NATIVE, 1, 1_000), (NATIVE, 64, 200), (HTTP, 1, 500), (HTTP, 64, 50))
_FLOOR_S = 3.0


async def measure(url: str, folder: Path, service: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for writers in (1, 64):
        floor = await insert_commit(url, writers, _FLOOR_S)
        rows.append({"what": "floor: asyncpg insert + commit", "sessions": writers, **floor})
    async with running(url, folder, service) as bench:
        await bench.measure(NATIVE, 4, 50)  # warm: connections, keys, caches
        for tool, sessions, steps in _WORKLOADS:
            result = await bench.measure(tool, sessions, steps)
            rows.append({"what": f"tool step: {tool}", **result, "fdatasyncMs": round(fdatasync_ms(), 3)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime", description=__doc__)
    parser.add_argument("--json", type=Path, help="write machine facts and results to this file")
    arguments = parser.parse_args()
    machine = facts()
    with throw_away() as (url, folder), answering() as service:
        rows = asyncio.run(measure(url, folder, service))
    _show(machine, rows)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"machine": machine, "results": rows}, indent=2) + "\n", encoding="utf-8")


def _show(machine: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    console = Console(width=120)
    console.print(", ".join(f"{name}: {value}" for name, value in machine.items()))
    columns = ("what", "sessions", "steps", "stepsPerSecond", "stepMsP50", "stepMsP99", "fdatasyncMs")
    table = Table(*columns)
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    console.print(table)


if __name__ == "__main__":
    main()
