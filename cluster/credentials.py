"""DATA_DIR/credentials.json (0600): where the platform answers, and what opens it."""

import hashlib
import secrets
from pathlib import Path

from pydantic import Field, ValidationError

from cluster.private_file import write_private
from models.base import Frozen
from planvault.errors import BringUpFailed


class Credentials(Frozen):
    base_url: str
    org_id: str
    project_id: str
    project_key: str = Field(repr=False)
    admin_token: str = Field(repr=False)
    superadmin_url: str = ""  # where the operators' API answers; empty: it is not served


def read(path: Path) -> Credentials | None:
    """None where there is no file. Raises BringUpFailed for one that others may read, or that is not ours."""
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise BringUpFailed(f"{path} can be read by others. Run: chmod 600 {path}")
        return Credentials.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        # `from None`: the validator's message quotes its input.
        raise BringUpFailed(
            f"{path} is not a credentials file. Move it away; the next `planvault up` makes a new key."
        ) from None
    except OSError as error:
        raise BringUpFailed(f"{path} cannot be read: {error.strerror}.") from error


def write(path: Path, credentials: Credentials) -> None:
    write_private(path, credentials.model_dump_json(by_alias=True, indent=2) + "\n")


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def ray_token(path: Path) -> str:
    """The token of the local Ray, made the first time. Whoever holds it can run code in the platform."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = secrets.token_hex(32)
        write_private(path, token)
        return token
