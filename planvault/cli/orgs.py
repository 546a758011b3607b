"""`orgs`: the installation's organisations, for those who run it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from models.base import JsonObject, JsonValue
from planvault.cli.listing import minute, show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    admin_token,
    credentials_path,
    load_credentials,
)
from planvault.errors import BringUpFailed

if TYPE_CHECKING:
    from pathlib import Path

    from planvault.cli.operators import OperatorClient

orgs = typer.Typer(help="The installation's organisations: list, create, delete, restore.", no_args_is_help=True)

OrgId = Annotated[str, typer.Argument(help="The organisation's id, see `planvault orgs list`.")]
Email = Annotated[str, typer.Argument(help="Who may accept: signed in with this address, verified.")]


@orgs.command("list")
def list_organizations(
    data: DataDirOption = None, credentials: CredentialsOption = None, as_json: JsonOption = False
) -> None:
    """Show every organisation, the deleted ones that can be restored included."""
    with _operator(data, credentials) as api:
        found = list(api.organizations())
    if as_json:
        print(json.dumps(found, indent=2))
        return
    columns = ("id", "name", "owners", "members", "projects")
    rows = [(*(each.get(name) for name in columns), _state(each)) for each in found]
    show((*columns, "state"), rows, empty="No organisations yet.")


@orgs.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    owner: Annotated[str, typer.Option("--owner", help="E-mail address of its first OWNER, who is invited.")] = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an organisation with the platform's own tools, and print the invitation of its first OWNER, this once."""
    with _operator(data, credentials) as api:
        made = api.create(name, owner)
    if as_json:
        print(json.dumps(made, indent=2))
        return
    organization = made.get("organization")
    assert isinstance(organization, dict)
    Console(stderr=True).print(f"Organisation {organization.get('id')} ({organization.get('name')}).", soft_wrap=True)
    _show_invitation(made.get("invitation"))


@orgs.command("invite-owner")
def invite_owner(
    org_id: OrgId, email: Email, data: DataDirOption = None, credentials: CredentialsOption = None
) -> None:
    """Invite the first OWNER of an organisation that has none, and print the token that accepts, this once."""
    with _operator(data, credentials) as api:
        _show_invitation(api.invite_owner(org_id, email))


@orgs.command()
def delete(
    org_id: OrgId,
    confirm: Annotated[str, typer.Option("--confirm", help="The organisation's name: ids are easily mixed up.")],
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Shut an organisation for everybody. It can be restored for seven days; then its keys are destroyed."""
    with _operator(data, credentials) as api:
        gone = api.delete(org_id, confirm)
    Console().print(
        f"Shut. `planvault orgs restore {org_id}` opens it again until {minute(gone.get('purgeAfter'))} UTC.",
        soft_wrap=True,
    )


@orgs.command()
def restore(org_id: OrgId, data: DataDirOption = None, credentials: CredentialsOption = None) -> None:
    """Open a deleted organisation again, as it was but for the runs that were stopped."""
    with _operator(data, credentials) as api:
        back = api.restore(org_id)
    Console().print(Text(f"{back.get('name')} is open again."))


def _operator(data: Path | None, credentials: Path | None) -> OperatorClient:
    from planvault.cli.operators import OperatorClient

    path = credentials_path(data, credentials)
    held = load_credentials(path)
    if not held.superadmin_url:
        raise BringUpFailed(
            f"{path} names no `superadminUrl`: the operators' API is not served (PLANVAULT_SUPERADMIN_PORT), or the "
            "file was written by an older release; `planvault up` writes it anew."
        )
    return OperatorClient(held.superadmin_url, admin_token(held))


def _show_invitation(made: JsonValue) -> None:
    if not isinstance(made, dict):
        return
    told = f"{made.get('email')} may become OWNER until {minute(made.get('expiresAt'))}. The token, this once:"
    Console(stderr=True).print(Text(told), soft_wrap=True)
    print(made.get("token"))


def _state(organization: JsonObject) -> str:
    until = organization.get("purgeAfter")
    return "active" if until is None else f"deleted, restorable until {minute(until)}"
