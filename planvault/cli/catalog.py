"""`import`: OpenAPI or Swagger documents become tools, one or a folder of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.base import JsonObject, JsonValue
from planvault.cli.folder import FolderImport
from planvault.cli.options import CredentialsOption, DataDirOption, client, credentials_path, load_credentials
from planvault.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from planvault.cli.client import ApiClient

DEADLINE_S = 900.0
_SCHEMES = frozenset({"http", "https"})
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def import_spec(
    source: Annotated[
        str | None, typer.Argument(metavar="[FILE|URL]", help="OpenAPI 3.0, 3.1 or Swagger 2.0; JSON or YAML.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="Where the service answers. Default: the document's first server."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The integration's alias. Default: from the file's name.")] = "",
    directory: Annotated[
        Path | None, typer.Option("--directory", help="A folder of documents, at any depth, as one import.")
    ] = None,
    name_prefix: Annotated[str, typer.Option("--name-prefix", help="Of the folder's aliases.")] = "",
    prune: Annotated[bool, typer.Option("--prune", help="Retire tools of documents the folder has no more.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the folder's last import.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write what was refused here: .csv, else JSON lines.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 where anything was refused.")] = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Import an API description, or a folder of them, and show what became of each.

    A name or a path that exists gets its document anew.
    """
    if (source is None) == (directory is None):
        raise InvalidInput("Give a file, an address, or --directory.")
    with client(load_credentials(credentials_path(data, credentials))) as api:
        if directory is not None:
            if base_url is not None or name:
                raise InvalidInput("--base-url and --name are of one document; a folder's documents have their own.")
            _import_folder(api, FolderImport(directory, name_prefix, prune=prune, resume=resume), report, strict)
        elif source is not None:
            if name_prefix or prune or resume or report or strict:
                raise InvalidInput("--name-prefix, --prune, --resume, --report, --strict need --directory.")
            _import_one(api, source, base_url, name)


def _import_folder(api: ApiClient, asked: FolderImport, report: Path | None, strict: bool) -> None:
    from planvault.cli.bulk_import import BulkImporting, has_refused, summary
    from planvault.cli.imports_commands import findings, write_report

    console = Console()
    importing = BulkImporting(api, console)
    job = importing.run(asked)
    for line in summary(job, importing.refused):
        console.print(line, highlight=False)
    for path, reason in importing.refused.items():
        console.print(Text(f"not sent: {path}: {reason}"))
    if report is not None:
        console.print(f"{write_report(findings(api, str(job['id'])), report):,} lines in {report}", highlight=False)
    if job.get("status") != "completed":
        raise InvalidInput(f"The import is {job.get('status')}: {job.get('error') or 'it was ended by somebody'}")
    if strict and has_refused(job, importing.refused):
        raise typer.Exit(1)


def _import_one(api: ApiClient, source: str, base_url: str | None, name: str) -> None:
    from planvault.cli.imports import ENDED, await_import

    console = Console()
    if base_url is not None and _scheme(base_url) not in _SCHEMES:
        raise InvalidInput(f"--base-url {base_url}: a base URL begins with http:// or https://.")
    document = _document(source)
    alias = name or _alias(source)
    started = _start(api, source, document, alias, base_url, console)
    import_id = str(started.get("importId"))
    job = await_import(api, import_id, console, timeout_s=DEADLINE_S)
    _show_report(job, console)
    if job.get("status") not in ENDED:
        raise Unavailable(f"The import has not ended after {DEADLINE_S:.0f} s; it goes on. Its id: {import_id}")
    if job.get("status") != "completed":
        raise InvalidInput(f"The import failed: {job.get('error') or 'no reason given'}")
    if base_url is None:
        _show_address(_named(api, alias), console)


def _document(source: str) -> str | None:
    """A file's text; None for an address, which the platform fetches itself. Raises InvalidInput."""
    scheme = _scheme(source)
    if scheme in _SCHEMES:
        return None
    if scheme:
        raise InvalidInput(f"{source}: {scheme}:// is not supported. Give a file, or an http:// or https:// address.")
    try:
        return Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{source} is not a text file in UTF-8.") from error


def _scheme(address: str) -> str:
    """`HTTPS://x` → `https`; empty where there is none."""
    found = _ADDRESS.match(address)
    return found["scheme"].lower() if found else ""


def _start(
    api: ApiClient, source: str, document: str | None, alias: str, base_url: str | None, console: Console
) -> JsonObject:
    spec_url = source if document is None else None
    existing = _named(api, alias)
    if existing is None:
        return api.import_spec(alias, base_url=base_url, spec=document, spec_url=spec_url)
    console.print(Text(f"{alias} exists (version {existing.get('version')}); its document is imported anew."))
    return api.reimport_spec(str(existing.get("toolId")), alias, base_url=base_url, spec=document, spec_url=spec_url)


def _named(api: ApiClient, alias: str) -> JsonObject | None:
    return next((one for one in api.pages("tools", name=alias) if one.get("name") == alias), None)


def _show_address(integration: JsonObject | None, console: Console) -> None:
    """Nobody named an address: say which one the calls go to, or that there is none yet."""
    address = str((integration or {}).get("baseUrl") or "")
    if address:
        console.print(Text(f"Calls go to {address}"))
    else:
        console.print("The document names no server: import it again with --base-url.", style="yellow")


def _show_report(job: JsonObject, console: Console) -> None:
    entries = [entry for entry in _list(job.get("report")) if isinstance(entry, dict)]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for entry in entries:
        problems = "; ".join(str(problem) for problem in _list(entry.get("problems")))
        table.add_row(Text(str(entry.get("outcome"))), Text(str(entry.get("operation"))), Text(problems, "dim"))
    console.print(table)
    for note in _list(job.get("notes")):
        console.print(f"note: {note}", style="dim", markup=False)
    outcomes = Counter(str(entry.get("outcome")) for entry in entries)
    removed = outcomes["removed"]  # such an operation is not in the document, nor its tool in the catalog
    tools = sum(1 for entry in entries if entry.get("tool")) - removed
    became = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    console.print(f"{tools} tools from {len(entries) - removed} operations{f' ({became})' if became else ''}.")


def _alias(source: str) -> str:
    """`./specs/Pet Store.v2.yaml` → `pet-store`; a URL's last path segment likewise."""
    stem = source.rstrip("/").rpartition("/")[2].partition("?")[0].partition(".")[0]
    alias = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_0123456789")
    return alias or "service"


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
