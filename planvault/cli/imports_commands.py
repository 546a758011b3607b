"""`imports`: the imports of whole folders, and what they refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from models.base import JsonObject, JsonValue
from planvault.cli.listing import show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)
from planvault.errors import InvalidInput

if TYPE_CHECKING:
    from planvault.cli.client import ApiClient

imports = typer.Typer(help="Imports of whole folders (`planvault import --directory`).", no_args_is_help=True)

ImportId = Annotated[str, typer.Argument(help="The import's id, see `planvault imports list`.")]
_COLUMNS = ("path", "operation", "outcome", "tool", "problems")
_ROUTE = "bulk-imports"


@imports.command("list")
def list_imports(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Imports to show, newest first.")] = 20,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the organisation's imports of folders, newest first."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        items = api.admin("GET", _ROUTE, query={"limit": limit}).get("items")
    found = [job for job in items if isinstance(job, dict)] if isinstance(items, list) else []
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = []
    for job in found:
        documents = job.get("documents")
        counts = documents if isinstance(documents, dict) else {}
        begun = str(job.get("createdAt"))[:19].replace("T", " ")
        cells = (job.get("id"), job.get("status"), job.get("namePrefix"), begun, counts.get("total"))
        rows.append((*cells, counts.get("refused"), job.get("tools"), job.get("error")))
    columns = ("id", "status", "prefix", "begun", "documents", "refused", "tools", "error")
    show(columns, rows, empty="No imports of folders yet.")


@imports.command("report")
def report(
    import_id: ImportId,
    to: Annotated[Path | None, typer.Option("--to", help="A file: .csv, else JSON lines.")] = None,
    outcome: Annotated[str, typer.Option("--outcome", help="Only these: refused, skipped, removed, …")] = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """What an import refused and why, by document and operation."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        lines = findings(api, import_id, outcome)
        if to is None:
            for line in lines:
                print(json.dumps(line, ensure_ascii=False))
        else:
            Console().print(f"{write_report(lines, to):,} lines in {to}", highlight=False)


@imports.command("cancel")
def cancel(import_id: ImportId, data: DataDirOption = None, credentials: CredentialsOption = None) -> None:
    """End an import where it is; what it has stored stays."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        api.admin("POST", f"{_ROUTE}/{import_id}/cancel")
    Console().print(f"Import {import_id} is cancelled.")


def findings(api: ApiClient, import_id: str, outcome: str = "") -> Iterator[JsonObject]:
    query: dict[str, str | int] = {"limit": 200, **({"outcome": outcome} if outcome else {})}
    return api.pages(f"{_ROUTE}/{import_id}/report", **query)


def write_report(lines: Iterator[JsonObject], to: Path) -> int:
    """How many lines were written. Raises InvalidInput where the file cannot be written."""
    count = 0
    try:
        with to.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file) if to.suffix.lower() == ".csv" else None
            if table is not None:
                table.writerow(_COLUMNS)
            for line in lines:
                count += 1
                if table is None:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    continue
                problems = line.get("problems")
                said = " ".join(map(str, problems)) if isinstance(problems, list) else ""
                table.writerow([_cell(line.get(column)) for column in _COLUMNS[:-1]] + [_cell(said)])
    except OSError as error:
        raise InvalidInput(f"{to} cannot be written: {error.strerror}.") from error
    return count


def _cell(value: JsonValue) -> str:
    """Strangers wrote it: what a spreadsheet would take for a formula stays text."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
