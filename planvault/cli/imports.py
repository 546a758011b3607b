"""Waiting for an import, with a progress bar."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.base import JsonObject, JsonValue
from planvault.cli.client import ApiClient

POLL_S = 0.1
ENDED = frozenset({"completed", "failed"})


def await_import(api: ApiClient, import_id: str, console: Console, *, timeout_s: float = 600.0) -> JsonObject:
    """Show an import's progress until it ends or `timeout_s` have passed; the last state seen."""
    deadline = time.monotonic() + timeout_s
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("queued", total=None)
        while True:
            state = api.import_status(import_id)
            total, done = _count(state.get("total")), _count(state.get("done"))
            progress.update(bar, description=str(state.get("status")), total=total or None, completed=done)
            if state.get("status") in ENDED or time.monotonic() > deadline:
                return state
            time.sleep(POLL_S)


def _count(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
