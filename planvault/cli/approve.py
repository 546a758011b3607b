"""`approve` and `reject`: a person's word on a plan or a call that waits for it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from models.base import JsonObject, JsonValue
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    OperatorOption,
    client,
    credentials_path,
    in_person,
    load_credentials,
)
from planvault.errors import Conflict

SessionArgument = Annotated[str, typer.Argument(help="The run's session, see `planvault runs`.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not show what it is and ask again.")]


def approve(
    session: SessionArgument,
    operator: OperatorOption = "",
    reason: ReasonOption = "",
    yes: YesOption = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Approve the plan or the call that the session's run waits with."""
    with client(in_person(load_credentials(credentials_path(data, credentials))), operator) as api:
        run = _waiting(api.open_run(session), session)
        question = _question(run)
        if not yes:
            _show(Console(), question)
            typer.confirm("  Approve this?", abort=True)
        api.act(session, "approve_tool" if question["kind"] == "tool" else "approve", **_answer(run, question, reason))
    typer.echo("The approval is taken; `planvault runs` shows what came of it.")


def reject(
    session: SessionArgument,
    operator: OperatorOption = "",
    reason: ReasonOption = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Reject the plan or the call that the session's run waits with: the run ends."""
    with client(in_person(load_credentials(credentials_path(data, credentials))), operator) as api:
        run = _waiting(api.open_run(session), session)
        question = _question(run)
        api.act(session, "reject_tool" if question["kind"] == "tool" else "reject", **_answer(run, question, reason))
    typer.echo("The rejection is taken; `planvault runs` shows what came of it.")


def _waiting(run: JsonObject | None, session: str) -> JsonObject:
    if run is None:
        raise Conflict(f"No run of session {session} is open.")
    return run


def _question(run: JsonObject) -> JsonObject:
    pending = run.get("pending")
    if not isinstance(pending, dict) or pending.get("kind") not in ("plan", "tool"):
        raise Conflict(f"Run {run.get('id')} is {run.get('status')}: it does not wait for an approval.")
    return pending


def _answer(run: JsonObject, question: JsonObject, reason: str) -> dict[str, JsonValue]:
    """The wire fields, bound to what was looked at."""
    bound = "correlationId" if question["kind"] == "tool" else "planHash"
    fields: dict[str, JsonValue] = {"runId": run.get("id"), bound: question.get(bound)}
    return fields | ({"reason": reason} if reason else {})


def _show(console: Console, question: JsonObject) -> None:
    from planvault.cli.questions import approval_lines, in_short

    lines = approval_lines(question) if question["kind"] == "tool" else [in_short(question)]
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
