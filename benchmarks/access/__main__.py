"""`python -m benchmarks.access [--rounds N] [--json FILE]`: the gate with warm memory, for every route and caller.

The real table of the real application, the real authenticator and the real decision; only what the database answers
once in 4 s comes from a dictionary. A round is one request through the gate to an application that does nothing.
Target of the product: at most 1 ms at the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from uuid import UUID

from rich.console import Console
from rich.table import Table
from starlette.types import Message, Receive, Scope, Send

from benchmarks.access.parts import ORG, PROJECT, Callers
from benchmarks.machine import facts
from planvault.auth.scopes import grants
from planvault.settings import Settings
from serve_apps.access.gate import Gate, Gatekeeper, RouteTable, judgement
from serve_apps.access.policy import POLICY, Rule
from serve_apps.api import assemble


def main() -> None:
    arguments = _arguments()
    machine = facts()
    figures = asyncio.run(measured(arguments.rounds))
    console = Console()
    console.print(", ".join(f"{name}: {value}" for name, value in machine.items()))
    table = Table("caller", "routes", "p50 µs", "p99 µs", "slowest route's p50 µs")
    for name, row in figures.items():
        table.add_row(name, *(f"{value:,.0f}" for value in row.values()))
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "microseconds": figures}, indent=2), encoding="utf-8")


async def measured(rounds: int) -> dict[str, dict[str, float]]:
    callers = Callers()
    keeper = Gatekeeper(callers.door, callers.tenancy)
    gate = Gate(_nothing, RouteTable(assemble(Settings()), POLICY), lambda _: keeper)
    figures = {}
    for name, (authorization, kind, held) in callers.credentials.items():
        routes = [
            rule for rule in POLICY if kind in rule.kinds and (not rule.permission or grants(held, rule.permission))
        ]
        took = {rule: await _times(gate, rule, authorization, rounds) for rule in routes}
        flat = sorted(time for times in took.values() for time in times)
        figures[name] = {
            "routes": float(len(routes)),
            "p50": median(flat),
            "p99": quantiles(flat, n=100)[98],
            "slowest": max(median(times) for times in took.values()),
        }
    return figures


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    judged = judgement(scope)
    assert judged is not None
    assert judged.admitted is not None


async def _times(gate: Gate, rule: Rule, authorization: str, rounds: int) -> list[float]:
    """Microseconds of each of `rounds` requests, after one that warms the memory."""
    names = {"orgId": str(ORG), "projectId": str(PROJECT)}
    path = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], str(UUID(int=1))), rule.path)
    headers = [(b"host", b"api"), (b"accept", b"*/*"), (b"authorization", authorization.encode())]
    took = []
    for _ in range(rounds + 1):
        scope: Scope = {"type": "http", "method": rule.method, "path": path, "headers": headers}
        started = perf_counter()
        await gate(scope, _receive, _refused)
        took.append((perf_counter() - started) * 1e6)
    return took[1:]


async def _receive() -> Message:
    raise AssertionError("the gate reads no body")


async def _refused(message: Message) -> None:
    raise AssertionError(f"refused: {message}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.access")
    parser.add_argument("--rounds", type=int, default=200, help="requests a route and caller")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
