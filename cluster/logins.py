"""DATA_DIR/database.json (0600): who logs in to the embedded Postgres, and with what.

Three logins: `postgres` owns the database and migrates it; the platform's processes have the other two, each a member
of one role that row-level security holds (migration 0014). Nobody is trusted for having reached the socket.
"""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Literal

from cluster.private_file import write_private
from planvault.errors import BringUpFailed

Login = Literal["postgres", "planvault_app_login", "planvault_platform_login"]

OWNER: Login = "postgres"
APP: Login = "planvault_app_login"
PLATFORM: Login = "planvault_platform_login"

# Every connection comes through the socket; the settings of the server open no other way.
_HBA = """\
# Written by PlanVault at every start: {stamp}
local all all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Logins:
    """Passwords: 256 random bits each, in hexadecimal digits."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    platform: str = field(repr=False)

    def password(self, login: Login) -> str:
        return {OWNER: self.owner, APP: self.app, PLATFORM: self.platform}[login]

    @property
    def access(self) -> str:
        """pg_hba.conf. It says which password the owner was given, so that another file's is noticed."""
        return _HBA.format(stamp=hashlib.sha256(self.owner.encode()).hexdigest()[:12])

    @property
    def owners_password(self) -> str:
        """SQL for the server in single-user mode, one statement a line."""
        return f"{stretching()}\nALTER ROLE {OWNER} PASSWORD '{self.owner}';\n"


def stretching() -> str:
    """Passwords of 256 random bits gain nothing from being hashed 4,096 times, which every new connection would pay."""
    return "SET scram_iterations = 1;"


def read(path: Path) -> Logins | None:
    """None where there is no file. Raises BringUpFailed for one that others may read, or that is not ours."""
    try:
        if path.stat().st_mode & 0o077:
            raise BringUpFailed(f"{path} can be read by others. Run: chmod 600 {path}")
        given = json.loads(path.read_bytes())
        return Logins(**{each.name: str(given[each.name]) for each in fields(Logins)})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        # `from None`: the fault may quote what it could not read.
        raise BringUpFailed(
            f"{path} is not a file of database logins. Stop the platform and move it away; `planvault up` makes one."
        ) from None
    except OSError as error:
        raise BringUpFailed(f"{path} cannot be read: {error.strerror}.") from error


def kept(path: Path) -> Logins:
    """The logins of this data directory, made the first time. The caller holds its lock."""
    found = read(path)
    if found is None:
        found = Logins(owner=secrets.token_hex(32), app=secrets.token_hex(32), platform=secrets.token_hex(32))
        write_private(path, json.dumps(asdict(found), indent=2) + "\n")
    return found
