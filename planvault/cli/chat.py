"""`chat`: prompts in, live events out; questions are answered at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from models.base import JsonObject
from planvault.cli.options import CredentialsOption, DataDirOption, client, credentials_path, load_credentials
from planvault.errors import InvalidInput

if TYPE_CHECKING:
    from planvault.cli.client import ApiClient
    from planvault.cli.watch import Answers


def chat(
    prompt: Annotated[str | None, typer.Argument(help="One prompt; without it, prompts are read line by line.")] = None,
    session: Annotated[str, typer.Option("--session", help="Go on in this session.")] = "",
    approve: Annotated[bool, typer.Option("--approve", help="Approve plans without asking.")] = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Talk to the project. Where no terminal is, nobody can approve: plans are rejected unless --approve is given."""
    from planvault.cli.answers import AnswerByRule, AskPerson
    from planvault.cli.live import EventPrinter
    from planvault.cli.watch import Watcher

    console = Console()
    attended = sys.stdin.isatty()
    answers: Answers = AnswerByRule(console) if approve else AskPerson(console) if attended else Unattended(console)
    with client(load_credentials(credentials_path(data, credentials))) as api:
        session_id = session or str(api.create_session().get("id"))
        console.print(f"session {session_id}", style="dim")
        watcher = Watcher(
            api, session_id, answers, EventPrinter(console), position=_newest(api, session) if session else 0
        )
        prompts = _typed(console) if attended and prompt is None else _given(prompt)
        statuses = [watcher.prompt(text).status for text in prompts]
    bad = [status for status in statuses if status != "completed"]
    if bad and not (attended and prompt is None):
        raise InvalidInput(f"The run ended as {bad[-1]}.")


class Unattended:
    """Answers where nobody is asked and nobody gave leave: no to everything, aloud."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def approve(self, question: JsonObject) -> bool:
        self._console.print("  (no terminal, no --approve: rejected)", style="yellow")
        return False

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        self._console.print("  (no terminal to fill slots at: cancelled)", style="yellow")
        return None


def _newest(api: ApiClient, session_id: str) -> int:
    """The last event that the session has: what came before it was watched by somebody else."""
    sequence = [entry.get("seq") for entry in api.history(session_id)]
    return max((seq for seq in sequence if isinstance(seq, int)), default=0)


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
