"""`up`, `down`, `status`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from planvault.cli.options import DataDirOption, JsonOption, data_dir
from planvault.cli.progress import bringing_up

if TYPE_CHECKING:
    from cluster.credentials import Credentials
    from cluster.health import Status

_WATCH_S = 1.0

PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the API answers, on 127.0.0.1.")]


def up(
    data: DataDirOption = None,
    port: PortOption = 8080,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when healthy; stop it with `planvault down`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the platform: database, Ray, applications. Ctrl-C stops it again."""
    from cluster.bringup import UpOptions
    from cluster.bringup import up as bring_up
    from cluster.teardown import down as take_down
    from cluster.topology import PARTS
    from planvault.settings import Settings

    root = data_dir(data)
    options = UpOptions(root, port=port, database_url=Settings().database_url, keep_owner=not detach)
    console = Console(stderr=True)
    with bringing_up(PARTS, console) as report:
        credentials = bring_up(options, report)
    try:
        _announce(credentials, root, console, as_json=as_json, detached=detach)
        if not detach:
            _stay(root)
            console.print("The platform was stopped from elsewhere.")
    except KeyboardInterrupt:
        # Asked for, so this is a success.
        console.print("Stopping …")
        take_down(root)
        console.print("Stopped.")
    except BaseException:
        if not detach:
            take_down(root)
        raise


def down(data: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Stop the platform, wait, and check that no process of it is left."""
    from cluster.teardown import down as take_down

    stopped = take_down(data_dir(data))
    if as_json:
        _print_json({"stopped": stopped.anything, "rayProcesses": stopped.ray_processes, "database": stopped.database})
    else:
        Console().print("Stopped; no process is left." if stopped.anything else "Nothing was running.")


def status(data: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Show the platform's parts. Exit status 0 when it is healthy, 1 otherwise."""
    from cluster.health import status as look

    found = look(data_dir(data))
    if as_json:
        _print_json(found.as_json())
    else:
        _show_status(found, Console())
    if not found.healthy:
        raise typer.Exit(1)


def _announce(credentials: Credentials, root: Path, console: Console, *, as_json: bool, detached: bool) -> None:
    if as_json:
        _print_json(credentials.model_dump(by_alias=True))
        return
    console.print(f"PlanVault is up: [bold]{credentials.base_url}[/bold]  (API documentation: /api-docs)")
    console.print(f"Credentials: {root / 'credentials.json'}", soft_wrap=True)
    console.print("Stop it with `planvault down`." if detached else "Ctrl-C stops it.")


def _stay(root: Path) -> None:
    """Until Ctrl-C, or until another command has stopped the platform."""
    from cluster.data_dir import existing
    from cluster.state import read

    while read(existing(root)) is not None:
        time.sleep(_WATCH_S)


def _show_status(found: Status, console: Console) -> None:
    if not found.running:
        console.print("Not running. Start it with `planvault up`.")
        return
    console.print(f"{'Healthy' if found.healthy else 'Not healthy'} at {found.base_url}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, part in found.parts.items():
        table.add_row("[green]✓[/green]" if part.ready else "[red]✗[/red]", name, part.detail)
    console.print(table)
    console.print(f"{found.processes} processes, {found.memory_mib} MiB. Ray dashboard: {found.dashboard_url}")


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2), flush=True)
