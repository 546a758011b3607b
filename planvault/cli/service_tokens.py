"""`tokens`: service tokens, with which programs manage the organisation."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from models.access import Role
from models.base import JsonObject
from planvault.cli.left_behind import MAKER_IS_GONE, WithKeysOption, asked, show_left_behind
from planvault.cli.listing import minute, show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)

tokens = typer.Typer(
    help="Service tokens, for programs that manage the organisation: list, create, rotate, revoke.",
    no_args_is_help=True,
)

TokenId = Annotated[str, typer.Argument(help="The token's id, see `planvault tokens list`.")]
DaysOption = Annotated[int, typer.Option("--expires-days", min=1, max=366, help="How long it opens, from now on.")]
_ROUTE = "service-tokens"


@tokens.command("list")
def list_tokens(data: DataDirOption = None, credentials: CredentialsOption = None, as_json: JsonOption = False) -> None:
    """Show every token's name, role and end; the tokens themselves are not stored."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = list(api.pages(_ROUTE))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [
        (
            *(one.get("id"), one.get("name"), f"…{one.get('preview')}", one.get("role"), one.get("createdBy")),
            minute(one.get("lastUsedAt")),
            _until(one),
        )
        for one in found
    ]
    show(("id", "name", "token", "role", "by", "last used", "until"), rows, empty="None yet.")


@tokens.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; stands in the audit log.")],
    role: Annotated[Role, typer.Option("--role", help="ADMIN, DEVELOPER or MEMBER.", case_sensitive=False)],
    days: DaysOption = 90,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Make a token and print it, this once."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        made = api.admin("POST", _ROUTE, body={"name": name, "role": role.value, "expiresInDays": days})
    _show_once(made)


@tokens.command()
def rotate(
    token_id: TokenId,
    days: DaysOption = 90,
    grace: Annotated[int, typer.Option("--grace", min=0, help="Seconds for which the old text still opens.")] = 0,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Replace a token's text and print the new one, this once."""
    body: JsonObject = {"expiresInDays": days, "graceSeconds": grace}
    with client(load_credentials(credentials_path(data, credentials))) as api:
        made = api.admin("POST", f"{_ROUTE}/{token_id}/rotate", body=body)
    _show_once(made)


@tokens.command()
def revoke(
    token_id: TokenId,
    with_keys: WithKeysOption = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """End a token; within seconds it opens nothing any more. Says which project keys it has made."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        left = api.admin("DELETE", f"{_ROUTE}/{token_id}", query=asked(with_keys=with_keys))
    Console().print(f"Service token {token_id} is revoked.")
    show_left_behind(left)


def _until(token: JsonObject) -> str:
    if token.get("revokedAt"):
        return "revoked"
    until = minute(token.get("expiresAt"))
    return f"{until}, {MAKER_IS_GONE}" if token.get("makerIsGone") is True else until


def _show_once(made: JsonObject) -> None:
    told = f"Service token {made.get('id')} ({made.get('name')}, {made.get('role')}). It is shown this once:"
    Console(stderr=True).print(Text(told), soft_wrap=True)
    print(made.get("token"))
