"""Options that several commands share, and the way from a data directory to a client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from planvault.errors import BringUpFailed

if TYPE_CHECKING:
    from cluster.credentials import Credentials
    from planvault.cli.client import ApiClient

DataDirOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="PLANVAULT_DATA_DIR",
        help="State of the platform: database, keys, logs. Default: /var/lib/planvault as root, else your data folder.",
        show_default=False,
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CredentialsOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        envvar="PLANVAULT_CREDENTIALS",
        help="The credentials file of another platform. Default: DATA_DIR/credentials.json.",
        show_default=False,
    ),
]


OperatorOption: TypeAlias = Annotated[
    str,
    typer.Option("--operator", envvar="PLANVAULT_OPERATOR", help="Who you are: for the record, and for approvals."),
]


def data_dir(given: Path | None) -> Path:
    from planvault.settings import default_data_dir

    return given if given is not None else default_data_dir()


def credentials_path(given_dir: Path | None, given_file: Path | None) -> Path:
    return given_file if given_file is not None else data_dir(given_dir) / "credentials.json"


def load_credentials(path: Path) -> Credentials:
    """Raises BringUpFailed where there are none yet, or where others may read them."""
    from cluster import credentials

    found = credentials.read(path)
    if found is None:
        raise BringUpFailed(f"There is no {path}. Start the platform with `planvault up`, or give --credentials.")
    return found


def admin_token(credentials: Credentials) -> str:
    """What opens the Admin API: PLANVAULT_TOKEN (a person's token, a service token), else the static admin token."""
    return os.environ.get("PLANVAULT_TOKEN") or credentials.admin_token


def in_person(credentials: Credentials) -> Credentials:
    """Who is signed in votes in their own name: the token of PLANVAULT_TOKEN opens the project in place of its key.

    Not one of our own: the admin token opens no project, and no service token is a person.
    """
    from planvault.auth.keys import ADMIN_PREFIX, SERVICE_PREFIX

    token = os.environ.get("PLANVAULT_TOKEN", "")
    if not token or token.startswith((ADMIN_PREFIX, SERVICE_PREFIX)):
        return credentials
    return credentials.model_copy(update={"project_key": token})


def client(credentials: Credentials, operator: str = "") -> ApiClient:
    from planvault.cli.client import ApiClient

    return ApiClient(
        credentials.base_url,
        project_id=credentials.project_id,
        project_key=credentials.project_key,
        org_id=credentials.org_id,
        admin_token=admin_token(credentials),
        operator=operator,
    )
