"""`keys`: the project's API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from models.base import JsonObject
from planvault.cli.left_behind import MAKER_IS_GONE
from planvault.cli.listing import minute, show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)

keys = typer.Typer(help="List, create, rotate and revoke the project's API keys.", no_args_is_help=True)

ScopeOption = Annotated[
    list[str] | None,
    typer.Option("--scope", help="What the key may do; may be given more than once.", show_default="hrn:project:*"),
]
PrimaryOption = Annotated[bool, typer.Option("--primary", help="The project's one key with every scope.")]
ExpiresOption = Annotated[
    int | None, typer.Option("--expires-days", min=1, max=3_650, help="The key ends by itself after so many days.")
]
GraceOption = Annotated[
    int, typer.Option("--grace", min=0, max=604_800, help="Seconds for which the old text still works.")
]
KeyId = Annotated[str, typer.Argument(help="The key's id, see `planvault keys list`.")]


@keys.command("list")
def list_keys(data: DataDirOption = None, credentials: CredentialsOption = None, as_json: JsonOption = False) -> None:
    """Show every key's name, last four characters and scopes; the keys themselves are not stored."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = api.keys()
    if as_json:
        import json

        print(json.dumps(found, indent=2))
        return
    rows = [
        (
            *(key.get("id"), key.get("name"), f"…{key.get('preview')}", _state(key), minute(key.get("lastUsedAt"))),
            " ".join(map(str, scopes)) if isinstance(scopes := key.get("scopes"), list) else "",
        )
        for key in found
    ]
    show(("id", "name", "key", "state", "last used", "scopes"), rows, empty="None yet.", folds=True)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: ScopeOption = None,
    primary: PrimaryOption = False,
    expires_days: ExpiresOption = None,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Make a key and print it, this once."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        more: JsonObject = {"primary": True} if primary else {}
        if expires_days is not None:
            more["expiresAt"] = (datetime.now(UTC) + timedelta(days=expires_days)).isoformat()
        made = api.create_key(name, scope or ([] if primary else ["hrn:project:*"]), **more)
    _show_once(made)


@keys.command()
def rotate(
    key_id: KeyId,
    grace: GraceOption = 0,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Replace a key's text and print the new one, this once. The old text stops working, at once or after --grace."""
    from cluster import credentials as files

    path = credentials_path(data, credentials)
    held = load_credentials(path)
    with client(held) as api:
        before = next((key for key in api.keys() if key.get("id") == key_id), {})  # noqa: SIM118 - the client's call, no mapping
        made = api.rotate_key(key_id, grace)
    if held.project_key.endswith(str(before.get("preview"))):
        # The key that this file holds is the one that has just been replaced.
        files.write(path, held.model_copy(update={"project_key": str(made.get("key"))}))
        Console(stderr=True).print(f"{path} holds the new key.", soft_wrap=True)
    _show_once(made)


@keys.command()
def revoke(key_id: KeyId, data: DataDirOption = None, credentials: CredentialsOption = None) -> None:
    """End a key; requests with it are refused from now on."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        api.revoke_key(key_id)
    Console().print(f"Key {key_id} is revoked.")


def _show_once(made: JsonObject) -> None:
    Console(stderr=True).print(f"Key {made.get('id')} ({made.get('name')}). It is shown this once:", soft_wrap=True)
    print(made.get("key"))


def _state(key: JsonObject) -> str:
    if key.get("revokedAt") is not None:
        return "revoked"
    ends = key.get("expiresAt")
    state = "primary" if key.get("isPrimary") is True else "active"
    if isinstance(ends, str):
        if datetime.fromisoformat(ends) <= datetime.now(UTC):
            return "expired"
        state = f"until {ends[:10]}"
    return f"{state}, {MAKER_IS_GONE}" if key.get("makerIsGone") is True else state
