"""`import`: an OpenAPI or Swagger document becomes tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.base import JsonObject, JsonValue
from planvault.cli.options import CredentialsOption, DataDirOption, client, credentials_path, load_credentials
from planvault.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from planvault.cli.client import ApiClient

DEADLINE_S = 900.0


def import_spec(
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="OpenAPI 3.0, 3.1 or Swagger 2.0; JSON or YAML.")],
    base_url: Annotated[str, typer.Option("--base-url", help="Where the service answers.")],
    name: Annotated[str, typer.Option("--name", help="The integration's alias. Default: from the file's name.")] = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Import an API description and show what became of each operation."""
    from planvault.cli.imports import ENDED, await_import

    console = Console()
    with client(load_credentials(credentials_path(data, credentials))) as api:
        started = _start(api, source, name or _alias(source), base_url)
        import_id = str(started.get("importId"))
        job = await_import(api, import_id, console, timeout_s=DEADLINE_S)
    _show_report(job, console)
    if job.get("status") not in ENDED:
        raise Unavailable(f"The import has not ended after {DEADLINE_S:.0f} s; it goes on. Its id: {import_id}")
    if job.get("status") != "completed":
        raise InvalidInput(f"The import failed: {job.get('error') or 'no reason given'}")


def _start(api: ApiClient, source: str, name: str, base_url: str) -> JsonObject:
    if source.startswith(("http://", "https://")):
        return api.import_spec(name, base_url=base_url, spec_url=source)
    try:
        text = Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{source} is not a text file in UTF-8.") from error
    return api.import_spec(name, base_url=base_url, spec=text)


def _show_report(job: JsonObject, console: Console) -> None:
    entries = [entry for entry in _list(job.get("report")) if isinstance(entry, dict)]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for entry in entries:
        problems = "; ".join(str(problem) for problem in _list(entry.get("problems")))
        table.add_row(Text(str(entry.get("outcome"))), Text(str(entry.get("operation"))), Text(problems, "dim"))
    console.print(table)
    for note in _list(job.get("notes")):
        console.print(f"note: {note}", style="dim", markup=False)
    tools = sum(1 for entry in entries if entry.get("tool"))
    console.print(f"{tools} tools from {len(entries)} operations.")


def _alias(source: str) -> str:
    """`./specs/Pet Store.v2.yaml` → `pet-store`; a URL's last path segment likewise."""
    stem = source.rstrip("/").rpartition("/")[2].partition("?")[0].partition(".")[0]
    alias = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_0123456789")
    return alias or "service"


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
