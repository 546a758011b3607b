"""`members`: who belongs to the organisation, with which role, and who is invited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from models.access import Role
from models.base import JsonObject
from planvault.cli.left_behind import WithKeysOption, asked, show_left_behind
from planvault.cli.listing import minute, show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)

members = typer.Typer(help="Who belongs to the organisation: list, invite, change roles, remove.", no_args_is_help=True)

UserId = Annotated[str, typer.Argument(help="The member's id, see `planvault members list`.")]
RoleArgument = Annotated[Role, typer.Argument(help="OWNER, ADMIN, DEVELOPER or MEMBER.", case_sensitive=False)]
RoleOption = Annotated[Role, typer.Option("--role", help="What they will be.", case_sensitive=False)]


@members.command("list")
def list_members(
    data: DataDirOption = None, credentials: CredentialsOption = None, as_json: JsonOption = False
) -> None:
    """Show every member with their role."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = list(api.pages("members"))
    _show(
        found, {"id": "userId", "e-mail": "email", "name": "name", "role": "role", "last seen": "lastSeenAt"}, as_json
    )


@members.command()
def invitations(data: DataDirOption = None, credentials: CredentialsOption = None, as_json: JsonOption = False) -> None:
    """Show the invitations that may still be accepted."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = list(api.pages("invitations"))
    _show(found, {"id": "id", "e-mail": "email", "role": "role", "by": "invitedBy", "until": "expiresAt"}, as_json)


@members.command()
def invite(
    email: Annotated[str, typer.Argument(help="Who may accept: signed in with this address, verified.")],
    role: RoleOption = Role.MEMBER,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Invite a person for 7 days and print the token that accepts, this once. Hand it over yourself."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        made = api.admin("POST", "invitations", body={"email": email, "role": role.value})
    until = minute(made.get("expiresAt"))
    told = f"{made.get('email')} may become {made.get('role')} until {until}. The token, this once:"
    Console(stderr=True).print(Text(told), soft_wrap=True)
    print(made.get("token"))


@members.command("role")
def set_role(
    user_id: UserId, role: RoleArgument, data: DataDirOption = None, credentials: CredentialsOption = None
) -> None:
    """Give a member another role. An organisation keeps at least one OWNER."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        changed = api.admin("PUT", f"members/{user_id}", body={"role": role.value})
    Console().print(Text(f"{changed.get('email') or user_id} is {changed.get('role')}."))


@members.command()
def remove(
    user_id: UserId,
    with_keys: WithKeysOption = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """End a membership; within seconds it opens nothing any more. Says which keys and tokens the person was shown."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        left = api.admin("DELETE", f"members/{user_id}", query=asked(with_keys=with_keys))
    Console().print(f"{user_id} is no member any more.")
    show_left_behind(left)


@members.command()
def uninvite(
    invitation_id: Annotated[str, typer.Argument(help="See `planvault members invitations`.")],
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Revoke an invitation."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        api.admin("DELETE", f"invitations/{invitation_id}")
    Console().print(f"Invitation {invitation_id} is revoked.")


def _show(found: Sequence[JsonObject], columns: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [[minute(one.get(key)) if key.endswith("At") else one.get(key) for key in columns.values()] for one in found]
    show(tuple(columns), rows, empty="Nobody yet.")
