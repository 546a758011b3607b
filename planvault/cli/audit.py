"""`audit`: read the audit log, export it, and verify it without trusting whoever keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from planvault.cli.listing import show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    OperatorOption,
    client,
    credentials_path,
    load_credentials,
)

if TYPE_CHECKING:
    from planvault.audit.faults import Report
    from planvault.audit.statements import SignedHead

audit = typer.Typer(help="Read, export and verify the organisation's audit log.", no_args_is_help=True)

OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.", show_default=False)]


@audit.command("list")
def list_rows(
    action: Annotated[
        list[str] | None, typer.Option("--action", help="Only these; may be given more than once.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Rows, newest first.")] = 50,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who decided what, newest first."""
    import json

    query = "&".join([f"limit={limit}", *(f"action={name}" for name in action or ())])
    with client(load_credentials(credentials_path(data, credentials))) as api:
        page = api.admin("GET", f"audit?{query}")
    items = page.get("items")
    rows = [row for row in items if isinstance(row, dict)] if isinstance(items, list) else []
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    cells = [
        (
            *(row.get(name) for name in ("seq", "at", "action", "actor")),
            "(erased)" if row.get("erased") else json.dumps(row.get("details"), ensure_ascii=False),
        )
        for row in rows
    ]
    show(("seq", "at", "action", "actor", "details"), cells, empty="No such rows yet.", folds=True)


@audit.command()
def export(
    output: OutputOption = None,
    details: Annotated[bool, typer.Option(help="With details, and so with names of people.")] = True,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Write the whole log with its keys, anchors and signed head, one JSON object a line."""
    import sys

    from planvault.cli.audit_stream import download

    pieces = download(load_credentials(credentials_path(data, credentials)), details=details)
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    with output.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    Console(stderr=True).print(
        f"{output} holds the log. Verify it: planvault audit verify --file {output}", soft_wrap=True
    )


@audit.command()
def head(output: OutputOption = None, data: DataDirOption = None, credentials: CredentialsOption = None) -> None:
    """Print where the chain ends now, signed; with --output add it to a file of heads. Keep that file elsewhere."""
    import json

    with client(load_credentials(credentials_path(data, credentials))) as api:
        signed = json.dumps(api.admin("GET", "audit/head"))
    if output is None:
        print(signed)
        return
    with output.open("a", encoding="utf-8") as file:
        file.write(signed + "\n")
    Console(stderr=True).print(f"{output} holds it. Later: planvault audit verify --head {output}", soft_wrap=True)


@audit.command()
def keys(
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new key from now on.")] = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    operator: OperatorOption = "",
) -> None:
    """Print the public keys, oldest first. Give the first one to whoever verifies: it introduces the others."""
    import json

    with client(load_credentials(credentials_path(data, credentials)), operator) as api:
        if rotate:
            api.admin("POST", "audit/keys", body={})
        else:
            api.admin("GET", "audit/head")  # the first signature makes the first key
        print(json.dumps(api.admin("GET", "audit/keys")["items"], indent=2))


@audit.command()
def verify(
    file: Annotated[
        Path | None,
        typer.Option("--file", help="An export, `-` for standard input; needs no platform.", show_default=False),
    ] = None,
    head: Annotated[
        list[Path] | None, typer.Option("--head", help="A file of heads that were kept; may be given more than once.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="A public key that you trust, hexadecimal; without one the log's own word counts."),
    ] = None,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the chain here, from an export or from the platform's. Ends with status 1 where anything is wrong."""
    from planvault.audit.reading import verify_export
    from planvault.cli.audit_stream import download, lines, read

    pinned, expected = [_key(text) for text in key or ()], [one for path in head or () for one in _heads(path)]
    pieces = read(file) if file is not None else download(load_credentials(credentials_path(data, credentials)))
    report = verify_export(lines(pieces), pinned=pinned, expected=expected)
    if as_json:
        _print_json(report)
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(1)


def _key(text: str) -> bytes:
    from planvault.errors import InvalidInput

    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise InvalidInput("--key takes 64 hexadecimal digits, the `publicKey` of `planvault audit keys`.")
    return found


def _heads(path: Path) -> list[SignedHead]:
    """Each line one head."""
    import json

    from planvault.audit.export import read_head
    from planvault.errors import InvalidInput

    try:
        found = [read_head(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path} is no file of heads, as `planvault audit head --output` writes them.") from error
    if not found:
        raise InvalidInput(f"{path} holds no head.")
    return found


def _print(report: Report) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if report.ok:
        console.print(
            Text("✓ ", "green")
            + Text(f"{_rows(report.rows)}, up to {report.last_seq}, {_many(report.heads, 'signed head')}")
        )
    else:
        console.print(Text("✗ ", "red") + Text(f"{_many(report.fault_count, 'fault')} in {_rows(report.rows)}"))
    notes = [
        (report.pruned, f"rows up to {report.pruned} were pruned; signed records say so"),
        (report.erased, f"details of {_rows(report.erased)} were erased"),
        (report.unproven, f"from before the chain: {_rows(report.unproven)}; no digest covers their details"),
        (not report.details, "the export is without details: they were not verified"),
        (not report.pinned, "no --key: the log's own keys were taken at their word"),
    ]
    for shown, note in notes:
        if shown:
            console.print(f"  {note}", markup=False)
    for fault in report.faults:
        console.print(f"  row {fault.seq}: {fault.kind}: {fault.detail}", markup=False)


def _rows(count: int) -> str:
    return _many(count, "row")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _print_json(report: Report) -> None:
    import json
    from dataclasses import asdict

    told = asdict(report) | {"ok": report.ok, "org_id": str(report.org_id), "last_hash": report.last_hash.hex()}
    print(json.dumps(told, indent=2))
