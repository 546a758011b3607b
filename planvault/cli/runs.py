"""`runs`: what was asked of the project, and how it went."""

from __future__ import annotations

from typing import Annotated

import typer

from models.base import JsonObject
from planvault.cli.listing import show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)
from planvault.cli.questions import in_short


def runs(
    session: Annotated[str, typer.Argument(help="Runs of one session; without it, of the newest sessions.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Sessions to look at.")] = 10,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs with their status, their duration, and what the waiting ones wait for."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        sessions = [session] if session else [str(found.get("id")) for found in api.sessions(limit=limit)]
        found: list[JsonObject] = [{"sessionId": each, **run} for each in sessions for run in api.runs(each)]
    if as_json:
        import json

        print(json.dumps(found, indent=2))
        return
    rows = []
    for run in found:
        duration = run.get("durationMs")
        took = f"{duration:.0f}" if isinstance(duration, int | float) else ""
        started = str(run.get("createdAt"))[:19].replace("T", " ")
        waits = in_short(run.get("pending")) if run.get("isOpen") else ""
        rows.append((run.get("sessionId"), run.get("id"), run.get("status"), took, started, waits, run.get("reason")))
    show(("session", "run", "status", "ms", "started", "waits for", "reason"), rows, empty="No runs yet.")
