"""What somebody who goes was shown of keys and tokens, as people read it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from models.base import JsonObject
from planvault.cli.client import Query

MAKER_IS_GONE = "its maker is gone"
"""In lists, of what still opens."""

WithKeysOption = Annotated[
    bool,
    typer.Option("--with-keys", help="End the project keys and service tokens that they were shown as well."),
]


def asked(*, with_keys: bool) -> Query:
    return {"withKeys": "true"} if with_keys else {}


def show_left_behind(left: JsonObject) -> None:
    """One line each, with what became of it; nothing where they were shown nothing that opens."""
    end = "ended" if left.get("ended") is True else "still opens"
    console = Console()
    for field, name in (("serviceTokens", "Service token"), ("keys", "Key")):
        found = left.get(field)
        for one in found if isinstance(found, list) else ():
            assert isinstance(one, dict)
            text = " (its text before the last rotation)" if one.get("oldTextOnly") is True else ""
            console.print(Text(f"{name} {one.get('id')} ({one.get('name')}) {end}{text}."), soft_wrap=True)
    if left.get("ended") is not True and (left.get("keys") or left.get("serviceTokens")):
        console.print("Rotate or revoke them; --with-keys would have.")
