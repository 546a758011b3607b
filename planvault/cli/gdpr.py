"""`gdpr`: give out what is held about a person or a project, or erase it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

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
from planvault.errors import Conflict, FieldError, InvalidInput

if TYPE_CHECKING:
    from planvault.cli.client import ApiClient

gdpr = typer.Typer(help="Export and erase what is held of a person, a project, an organisation.", no_args_is_help=True)

_POLL_S = 1.0
_OPEN = frozenset({"queued", "running"})

UserOption = Annotated[
    str, typer.Option("--user", help="An external user, as sessions were made with it.", show_default=False)
]
ProjectOption = Annotated[str, typer.Option("--project", help="A project's id.", show_default=False)]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Where the ZIP goes; else export-ID.zip.", show_default=False),
]


@gdpr.command()
def export(
    user: UserOption = "",
    project: ProjectOption = "",
    organization: Annotated[bool, typer.Option("--organization", help="The whole organisation.")] = False,
    out: OutOption = None,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Ask for an export, wait for it, and fetch the file (readable by you alone)."""
    from planvault.cli.export_stream import fetch

    body = _target(user, project, organization)
    held = load_credentials(credentials_path(data, credentials))
    with client(held) as api:
        made = api.admin("POST", "gdpr/exports", body=body)
        done = _finished(api, f"gdpr/exports/{made['id']}")
    file = out if out is not None else Path(f"export-{made['id']}.zip")
    fetch(held, str(made["id"]), file, str(done["sha256"]))
    Console().print(f"{file}: {done['size']} bytes, SHA-256 {done['sha256']}", soft_wrap=True)


@gdpr.command()
def erase(
    user: UserOption = "",
    project: ProjectOption = "",
    organization: Annotated[
        str,
        typer.Option("--organization", help="This whole organisation: its name, as proof.", show_default=False),
    ] = "",
    member: Annotated[
        str, typer.Option("--member", help="A person of the staff, by user id (`planvault members list`).")
    ] = "",
    immediately: Annotated[
        bool, typer.Option("--immediately", help="With --organization: without the seven days to restore it in.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. What is erased cannot come back.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is completed.")] = True,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase everything that is held about a person, in a project or in the organisation, for good."""
    body = _target(user, project, bool(organization), member)
    if organization:
        body |= {"confirm": organization, "immediately": immediately}
    what = f"project {project}" if project else f"external user {user!r}" if user else f"organisation {organization!r}"
    what = f"member {member}" if member else what
    if not yes and not typer.confirm(f"Erase everything of {what}, for good?", err=True):
        raise typer.Exit(1)
    with client(load_credentials(credentials_path(data, credentials))) as api:
        erasure = api.admin("POST", "gdpr/erasures", body=body)
        if wait and not organization:  # which answers nobody from now on
            erasure = _finished(api, f"gdpr/erasures/{erasure['id']}")
    if as_json:
        print(json.dumps(erasure, indent=2))
        return
    if organization:
        Console().print(f"The organisation is shut. It can be restored until {erasure['purgeAfter']}.", soft_wrap=True)
        return
    Console().print(f"Erasure {erasure['id']}: {erasure['state']}. {_counts(erasure)}", soft_wrap=True)


@gdpr.command()
def status(
    request: Annotated[str, typer.Argument(help="An export's or erasure's id; all of them where none is given.")] = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show exports and erasures, newest first: state, stage, and what was written or erased so far."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found: list[JsonObject] = [
            {"kind": kind, **each}
            for kind, route in (("export", "gdpr/exports"), ("erasure", "gdpr/erasures"))
            for each in api.pages(route)
            if not request or each.get("id") == request
        ]
    found.sort(key=lambda each: str(each["id"]), reverse=True)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [(each["id"], each["kind"], _of(each), _how_far(each), each["error"], _counts(each)) for each in found]
    columns = ("id", "kind", "of", "state", "error", "rows")
    show(columns, rows, empty="No exports or erasures.", folds=True)


def _target(user: str, project: str, organization: bool, member: str = "") -> JsonObject:
    """The request's body. Raises InvalidInput unless exactly one target is named."""
    if sum((bool(user), bool(project), organization, bool(member))) != 1:
        fault = FieldError("", "name exactly one: --user, --project, --organization, or (erasures only) --member")
        raise InvalidInput("It is not clear of whom.", errors=[fault])
    if user:
        return {"target": "external_user", "externalUserId": user}
    if member:
        return {"target": "member", "userId": member}
    return {"target": "project", "projectId": project} if project else {"target": "organization"}


def _finished(api: ApiClient, route: str, pause: Callable[[float], None] | None = None) -> JsonObject:
    """The request once it is at its end. Raises Conflict where that is no success."""
    told = ""
    while True:
        request = api.admin("GET", route)
        line = f"{_how_far(request)} {request['error'] or ''}".strip()
        if line != told:
            Console(stderr=True).print(line, soft_wrap=True, markup=False)
            told = line
        if request["state"] not in _OPEN:
            break
        (pause or time.sleep)(_POLL_S)
    if request["state"] != "completed":
        raise Conflict(f"The request is {request['state']}: {request['error'] or 'somebody ended it'}.")
    return request


def _how_far(request: JsonObject) -> str:
    """The state, and which step is under way: of one that has ended, where it ended is nobody's concern."""
    state = str(request["state"])
    return f"{state}: {str(request['stage']).replace('_', ' ')}" if state == "running" else state


def _counts(request: JsonObject) -> str:
    counts = request.get("counts")
    found = sorted(counts.items()) if isinstance(counts, dict) else []
    return ", ".join(f"{name} {count}" for name, count in found)


def _of(request: JsonObject) -> str:
    """Whom it is about: a person by the beginning of the pseudonym, which is all that is kept."""
    if request.get("target") == "project":
        return f"project {request.get('projectId')}"
    subjects = request.get("subjects")
    if isinstance(subjects, list) and subjects:
        return f"user {str(subjects[0])[:12]}…"
    return str(request.get("target"))
