"""Postgres refuses to run as root. Started by root, the embedded server runs as a system user of its own."""

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass

from planvault.errors import BringUpFailed

NAME = "planvault-postgres"


@dataclass(frozen=True, slots=True)
class ServerUser:
    name: str
    uid: int
    gid: int

    def may_pass(self, folder: os.stat_result) -> bool:
        """Whether the user may go through a folder (the x bit that counts for it; access lists are not read)."""
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


def server_user() -> ServerUser | None:
    """The user that the embedded Postgres runs as: None means the current one, which is not root.

    Made with `useradd` the first time. Raises BringUpFailed where that is not possible.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        _add()
        entry = pwd.getpwnam(NAME)
    return ServerUser(NAME, entry.pw_uid, entry.pw_gid)


def _add() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", "/bin/false"]
    try:
        subprocess.run([*command, NAME], check=True, capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        raise BringUpFailed(
            f"As root, the embedded Postgres needs a system user {NAME}, and useradd could not make it "
            f"({detail.strip()}). Run as an ordinary user, or set DATABASE_URL."
        ) from error
