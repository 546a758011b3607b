"""`tools`: what the project's planner may use, and which of it a prompt would get."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.base import JsonObject, JsonValue
from models.retrieval import SHORTLIST_CAP, RetrievalMode
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)

tools = typer.Typer(help="See the project's tools, and why a prompt gets which of them.", no_args_is_help=True)

_WIDE = 1_000


@tools.command("list")
def list_tools(
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tools of every integration that the project has enabled, by name."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = api.tools()
    if as_json:
        _print_json(found)
        return
    table = _table("tool", "group", "risk", "approval", "summary")
    for tool in found:
        cells = (tool.get("name"), tool.get("group"), tool.get("risk"), tool.get("approvalPolicy"))
        table.add_row(*map(_text, cells), _text(_short(tool.get("summary") or tool.get("description"))))
    _print_wide(table if found else "No tools yet: `planvault import FILE|URL`.")


@tools.command("select")
def select(
    prompt: Annotated[str, typer.Argument(help="What would be asked, in natural language.")],
    strategy: Annotated[RetrievalMode | None, typer.Option("--strategy", help="Force a tier.")] = None,
    max_tools: Annotated[
        int | None, typer.Option("--max-tools", min=1, max=SHORTLIST_CAP, help="Length of the shortlist.")
    ] = None,
    candidates: Annotated[
        int, typer.Option("--candidates", min=1, max=1_000, help="Tools to explain, the shortlist included.")
    ] = 50,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Select tools for a prompt without running it, and show what every score is made of."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = api.test_selection(
            prompt,
            candidates=candidates,
            **({} if strategy is None else {"strategy": strategy.value}),
            **({} if max_tools is None else {"maxTools": max_tools}),
        )
    if as_json:
        _print_json(found)
        return
    show_selection(found, Console())


def show_selection(found: JsonObject, console: Console) -> None:
    """The tier and why, the prompt's parts, timings, and a row a candidate; a column for each part of the scores."""
    rows = [row for row in _list(found.get("candidates")) if isinstance(row, dict)]
    shown = len(_list(found.get("shortlist")))
    console.print(
        Text(f"{found.get('tier')}: {found.get('tierReason')}. {shown} tools in the shortlist."), soft_wrap=True
    )
    for note in _list(found.get("degraded")):
        console.print(Text(f"! {note}", "yellow"), soft_wrap=True)
    clauses = _list(found.get("parts"))[1:]
    if clauses:
        console.print(Text("clauses: " + " │ ".join(map(str, clauses)), "dim"), soft_wrap=True)
    timings = found.get("timingsMs")
    if isinstance(timings, dict):
        console.print(Text(", ".join(f"{name} {took} ms" for name, took in timings.items()), "dim"), soft_wrap=True)
    for scenario in _list(found.get("scenarios")):
        if isinstance(scenario, dict):
            console.print(Text(_scenario(scenario), "dim"), soft_wrap=True)
    names = list(dict.fromkeys(name for row in rows for name, part in _scores(row).items() if part))
    table = _table("", "tool", "group", "score", *names, "left out")
    for place, row in enumerate(rows, start=1):
        parts = [_number(_scores(row).get(name)) for name in names]
        excluded = row.get("excluded")
        position = "" if excluded else str(place)
        cells = (position, row.get("name"), row.get("group"), _number(row.get("score")), *parts, excluded or "")
        table.add_row(*(_text(cell) for cell in cells), style="dim" if excluded else "")
    _print_wide(table if rows else "No candidates.", console)


def _scenario(found: JsonObject) -> str:
    name = found.get("name") or "learned from runs"
    return f"scenario {name}: similarity {_number(found.get('similarity'))}, adds {_number(found.get('contribution'))}"


def _scores(row: JsonObject) -> JsonObject:
    scores = row.get("scores")
    return scores if isinstance(scores, dict) else {}


def _number(value: JsonValue) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _text(value: JsonValue) -> Text:
    return Text("" if value is None else str(value))


def _short(value: JsonValue, longest: int = 80) -> str:
    text = " ".join(str(value or "").split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print_wide(what: Table | str, console: Console | None = None) -> None:
    # Names are there to be copied: a line too long for the terminal beats a name in pieces.
    console = console or Console()
    console.width = max(console.width, _WIDE)
    console.print(what)


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
