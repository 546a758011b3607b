"""`chat`: prompts in, live events out; questions are answered at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    OperatorOption,
    client,
    credentials_path,
    load_credentials,
)
from planvault.cli.questions import NEEDS_APPROVAL, NEEDS_OPERATOR, how_to_approve, how_to_resolve, in_short
from planvault.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from planvault.cli.client import ApiClient
    from planvault.cli.questions import Answers
    from planvault.cli.watch import RunSeen, Watcher


def chat(
    prompt: Annotated[str | None, typer.Argument(help="One prompt; without it, prompts are read line by line.")] = None,
    session: Annotated[str, typer.Option("--session", help="Go on in this session.")] = "",
    approve: Annotated[bool, typer.Option("--approve", help="Approve plans without asking.")] = False,
    approve_calls: Annotated[
        bool, typer.Option("--approve-calls", help="Approve calls that a rule asks about, without asking.")
    ] = False,
    operator: OperatorOption = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Talk to the project. Where no terminal is, nobody can approve: plans are rejected unless --approve is given."""
    from planvault.cli.answers import AnswerByRule, AskPerson, RefuseAll
    from planvault.cli.live import EventPrinter
    from planvault.cli.watch import Watcher

    console = Console()
    attended = sys.stdin.isatty()
    answers: Answers
    if attended:
        answers = AskPerson(console, approved=approve, calls_approved=approve_calls)
    else:
        answers = AnswerByRule(console, calls_approved=approve_calls) if approve else RefuseAll(console)
    with client(load_credentials(credentials_path(data, credentials)), operator) as api:
        session_id = session or str(api.create_session().get("id"))
        console.print(f"session {session_id}", style="dim")
        position = api.newest_seq(session) if session else 0
        watcher = Watcher(api, session_id, answers, EventPrinter(console), position=position)
        if session:
            _finish_open_run(api, watcher, session, console, attended=attended)
        prompts = _typed(console) if attended and prompt is None else _given(prompt)
        statuses = [_ended(watcher.prompt(text), session_id) for text in prompts]
    bad = [status for status in statuses if status != "completed"]
    if bad and not (attended and prompt is None):
        raise InvalidInput(f"The run ended as {bad[-1]}.")


def _finish_open_run(api: ApiClient, watcher: Watcher, session_id: str, console: Console, *, attended: bool) -> None:
    """A prompt would wait behind the session's open run: see that one to its end first.

    Raises Conflict where it waits for a person and nobody is there: leave for the plans to come is none for it.
    """
    run = api.open_run(session_id)
    if run is None:
        return
    console.print(f"run {run.get('id')} of this session is still open ({run.get('status')})", style="yellow")
    waits = in_short(run.get("pending"))
    if waits and not attended and run.get("status") != NEEDS_OPERATOR:
        raise Conflict(f"Run {run.get('id')} waits for a person ({waits}), and there is no terminal to ask at.")
    _ended(watcher.attend(run), session_id)


def _ended(seen: RunSeen, session_id: str) -> str:
    """The status of a run that has ended. Raises Conflict for one that has not: what comes after would wait for it."""
    if seen.status == NEEDS_OPERATOR:
        raise Conflict(how_to_resolve(session_id, seen.run_id))
    if seen.status == NEEDS_APPROVAL:
        raise Conflict(how_to_approve(session_id, seen.run_id))
    return seen.status


def _given(prompt: str | None) -> Iterator[str]:
    yield from [prompt] if prompt is not None else (line.strip() for line in sys.stdin if line.strip())


def _typed(console: Console) -> Iterator[str]:
    while True:
        try:
            text = console.input("[bold]› [/bold]").strip()
        except EOFError:
            return
        if text:
            yield text
