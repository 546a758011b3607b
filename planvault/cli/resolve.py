"""`resolve`: an operator's word on a call whose outcome nobody knows."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from models.base import JsonObject
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    OperatorOption,
    client,
    credentials_path,
    load_credentials,
)
from planvault.errors import Conflict, FieldError, InvalidInput


class How(StrEnum):
    MARK_DONE = "mark-done"
    RETRY = "retry"
    FAIL = "fail"


def resolve(
    session: Annotated[str, typer.Argument(help="The run's session, see `planvault runs`.")],
    how: Annotated[
        How,
        typer.Argument(help="It happened, and --result was the answer; call it again; or end the run."),
    ],
    run: Annotated[str, typer.Option("--run", help="Default: the session's open run.")] = "",
    result: Annotated[str | None, typer.Option("--result", metavar="JSON", help="mark-done: the answer.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    operator: OperatorOption = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Decide on a run that stands in needs_manual_recovery (or awaiting_reauth), and follow it to its end."""
    from planvault.cli.answers import RefuseAll
    from planvault.cli.live import EventPrinter
    from planvault.cli.questions import NEEDS_APPROVAL, NEEDS_OPERATOR, how_to_approve, how_to_resolve
    from planvault.cli.watch import Watcher

    fields = _resolution(how, result, reason)
    if run:
        fields["runId"] = run
    console = Console()
    with client(load_credentials(credentials_path(data, credentials)), operator) as api:
        position = api.newest_seq(session)
        accepted = api.act(session, "resolve", **fields)
        watcher = Watcher(api, session, RefuseAll(console), EventPrinter(console), position=position)
        seen = watcher.attend({"id": accepted.get("runId")})
    if seen.status == NEEDS_OPERATOR:
        raise Conflict(how_to_resolve(session, seen.run_id))
    if seen.status == NEEDS_APPROVAL:
        raise Conflict(how_to_approve(session, seen.run_id))


def _resolution(how: How, result: str | None, reason: str) -> JsonObject:
    """The action's wire fields. Raises InvalidInput where the options do not fit together."""
    from planvault.cli.answers import read_json

    fields: JsonObject = {"resolution": how.value.replace("-", "_")}
    if reason:
        fields["reason"] = reason
    if how is not How.MARK_DONE:
        if result is not None:
            raise InvalidInput(f"--result goes with mark-done; {how.value} has none.")
        return fields
    if result is None:
        raise InvalidInput("mark-done needs --result JSON: what the call answered (null where that is not known).")
    try:
        return fields | {"result": read_json(result)}
    except ValueError as error:
        raise InvalidInput("The result cannot be read.", errors=(FieldError("--result", str(error)),)) from None
