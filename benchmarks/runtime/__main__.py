"""`python -m benchmarks.runtime [--json FILE] [--only NAME …] [--quick] [--no-peers | --peers-venv DIR]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import facts
from benchmarks.runtime.experiments import Place, Row
from benchmarks.runtime.peers import environment
from benchmarks.runtime.platform import local_ray
from benchmarks.runtime.registry import EXPERIMENTS
from benchmarks.runtime.server import throw_away
from benchmarks.runtime.service import answering


def main() -> None:
    arguments = _arguments()
    os.environ.setdefault("PLANVAULT_LOG_LEVEL", "ERROR")
    peers = None if arguments.no_peers else environment.python_of(arguments.peers_venv)
    console = Console(width=150)
    report: dict[str, Any] = {"machine": facts(), "quick": arguments.quick}
    with throw_away() as server, answering() as service, local_ray(server.folder):
        report["server"] = asyncio.run(server.settings())
        report["peers"] = {} if peers is None else environment.versions(peers)
        for part in ("machine", "server", "peers"):
            console.print(", ".join(f"{name}: {value}" for name, value in report[part].items()))
        place = Place(server, service, peers, arguments.quick)
        report["results"] = {}
        for name in arguments.only or EXPERIMENTS:
            rows = asyncio.run(EXPERIMENTS[name](place))
            report["results"][name] = rows
            _show(console, name, rows)
            _write(arguments.json, report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime")
    parser.add_argument("--json", type=Path, help="write machine facts and results to this file")
    parser.add_argument("--only", nargs="+", choices=tuple(EXPERIMENTS), metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter laps: for a look, not for a figure")
    parser.add_argument("--no-peers", action="store_true", help="without DBOS and LangGraph")
    parser.add_argument(
        "--peers-venv", type=Path, default=environment.DEFAULT, help="their environment, made where it is missing"
    )
    return parser.parse_args()


def _write(path: Path | None, report: dict[str, Any]) -> None:
    """After every experiment: a later one that fails costs nothing."""
    if path is not None:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _show(console: Console, name: str, rows: list[Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(*columns, title=name, title_justify="left")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    console.print(table)


if __name__ == "__main__":
    main()
