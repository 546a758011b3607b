"""`keys rewrap`: which key-encryption keys wrap the organisations' data keys, and moving them to another."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from planvault.cli.options import DataDirOption, JsonOption, data_dir

if TYPE_CHECKING:
    from planvault.storage.rewrap import Wrapped

To = Annotated[
    str | None,
    typer.Option("--to", help="Provider whose current key wraps from now on: local, aws-kms or vault-transit."),
]


def rewrap(to: To = None, data: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Wrap every organisation's data keys by another key-encryption key; without --to, say which wraps what.

    Works while the platform does, and may be stopped and run again. The old key is needed until nothing is left of it.
    """
    from cluster.rewrap import rewrap as work
    from planvault.settings import Settings
    from planvault.storage.rewrap import Rewrapped

    settings = Settings(data_dir=data_dir(data))
    with Console(stderr=True).status("Wrapping data keys"):
        done = work(settings, to, lambda: None)
    left = done.left if isinstance(done, Rewrapped) else done
    failed = {str(org): why for org, why in done.failed.items()} if isinstance(done, Rewrapped) else {}
    if as_json:
        moved = done.organizations if isinstance(done, Rewrapped) else 0
        told = {"organizations": moved, "failed": failed, "wrapped": [asdict(one) for one in left]}
        print(json.dumps(told | {"newOrganizations": settings.kek_provider}, indent=2))
    else:
        _tell(Console(), done.organizations if isinstance(done, Rewrapped) else None, failed, left)
        if to not in (None, settings.kek_provider):
            Console().print(
                f"New organisations are still wrapped by {settings.kek_provider}: keep its key. Set "
                f"PLANVAULT_KEK_PROVIDER={to}, start the platform anew, and run this once more.",
                soft_wrap=True,
            )
    if failed:
        raise typer.Exit(1)


def _tell(console: Console, moved: int | None, failed: dict[str, str], left: tuple[Wrapped, ...]) -> None:
    if moved is not None:
        console.print(f"Organisations wrapped anew: {moved}.")
    for org, why in failed.items():
        console.print(f"{org}: {why}", soft_wrap=True)
    for one in left:
        still = "" if moved is None else "still "
        console.print(
            f"{still}wrapped by {one.provider} {one.kek}: data keys {one.keys}, organisations {one.organizations}",
            soft_wrap=True,
        )
    if moved is not None and not left:
        console.print("Nothing is wrapped by another key.")
