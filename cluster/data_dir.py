"""The data directory: where it is, who may enter it, and the short folders that unix sockets need.

As root, Postgres has to run as another user, who must be able to walk down to its files. `prepare` gives that user's
group the right to pass through the data directory itself and never touches a folder above it: where one of those
keeps others out, it refuses.
"""

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.server_user import ServerUser
from planvault.errors import BringUpFailed

# Names that only this product puts into a folder: one that holds none of them, and is not empty, is somebody else's.
_OURS = frozenset({"credentials.json", "database.json", "keyset.json", "platform.json", "postgres", "ray", "up.lock"})
_HARMLESS = frozenset({"lost+found"})

LOCK_PATIENCE_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths under one data directory; absolute, symbolic links resolved."""

    root: Path

    @property
    def credentials(self) -> Path:
        return self.root / "credentials.json"

    @property
    def logins(self) -> Path:
        return self.root / "database.json"

    @property
    def state(self) -> Path:
        return self.root / "platform.json"

    @property
    def lock(self) -> Path:
        return self.root / "up.lock"

    @property
    def ray_token(self) -> Path:
        return self.root / "ray_token"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def watchdog_log(self) -> Path:
        return self.logs / "watchdog.log"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    def short(self, name: str, longest: int) -> Path:
        """ROOT/name, or where that is longer than `longest` bytes a folder in the temporary one, to be made private.

        Socket paths end at 107 bytes.
        """
        inside = self.root / name
        if len(os.fsencode(inside)) <= longest:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()).resolve() / f"planvault-{digest}-{name}"


def prepare(root: Path, user: ServerUser | None) -> DataDir:
    """Make the directory where it is missing, private to us and passable for `user`, the embedded database's, if any.

    Raises BringUpFailed for a folder that cannot be written, is somebody else's, or lies where the database's user
    could not reach it without opening a folder above.
    """
    root = root.expanduser().resolve()
    check(root, user)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is None:
            root.chmod(0o700)
        else:
            _refuse_closed_parents(root, user)  # those just made, under this process's umask
            os.chown(root, -1, user.gid)
            root.chmod(0o710)
        (root / "up.lock").touch(mode=0o600)  # makes the directory ours from now on
        (root / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise BringUpFailed(
            f"The data directory {root} cannot be used: {error.strerror}. Choose another with --data-dir."
        ) from error
    return DataDir(root)


def check(root: Path, user: ServerUser | None) -> None:
    """Whether `prepare` would take the directory; changes nothing. Raises BringUpFailed with what stands in the way."""
    other = "Choose another with --data-dir."
    if user is not None:
        _refuse_closed_parents(root, user)
    try:
        if not root.exists():
            nearest = next(folder for folder in root.parents if folder.exists())
            if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
                raise BringUpFailed(f"The data directory {root} cannot be made: {nearest} is not writable. {other}")
            return
        if not root.is_dir():
            raise BringUpFailed(f"{root} is not a directory. {other}")
        if root.stat().st_uid != os.geteuid():
            raise BringUpFailed(f"The data directory {root} belongs to another user. {other}")
        if not os.access(root, os.W_OK | os.X_OK):
            raise BringUpFailed(f"The data directory {root} is not writable. {other}")
        names = {entry.name for entry in root.iterdir()} - _HARMLESS
    except PermissionError as error:
        raise BringUpFailed(f"The data directory {root} cannot be read: {error.strerror}. {other}") from error
    if names and not names & _OURS:
        raise BringUpFailed(f"{root} holds files that are not PlanVault's. Choose an empty or new one with --data-dir.")


def existing(root: Path) -> DataDir:
    """The directory as it is, for commands that only look. Nothing is made or changed."""
    return DataDir(root.expanduser().resolve())


def private_folder(path: Path, owner: ServerUser | None = None) -> Path:
    """A folder with mode 0700 that belongs to us (or to `owner`). Raises BringUpFailed where another made it first."""
    uid = os.geteuid() if owner is None else owner.uid
    try:
        path.mkdir(mode=0o700)
        if owner is not None:
            os.chown(path, owner.uid, owner.gid)
    except FileExistsError:
        pass
    except OSError as error:
        raise BringUpFailed(f"{path} cannot be made: {error.strerror}.") from error
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o077:
        # Not "remove it": after a copy without owners (cp -r, a backup) it may be somebody's only database.
        owned = f"belongs to user {uid} with mode 0700"
        raise BringUpFailed(
            f"{path} must be a folder that {owned}. One of your own data: `chown -R {uid} {path}; chmod 700 {path}`. "
            "One that you do not know: move it away."
        )
    return path


class DirectoryBusy(BringUpFailed):
    """Another process holds the data directory."""


@contextmanager
def locked(data: DataDir, *, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
    """Hold the directory while parts are started or stopped. Raises DirectoryBusy where it stays held by another.

    The default patience outlasts the watchdog, which holds it while it starts Postgres again.
    """
    descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, data, time.monotonic() + patience_s)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, data: DataDir, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise DirectoryBusy(
                    f"Another planvault command is starting or stopping the platform in {data.root}. "
                    "Wait for it to end."
                ) from error
            time.sleep(_POLL_S)
        else:
            return


def _refuse_closed_parents(root: Path, user: ServerUser) -> None:
    for folder in root.parents:
        if folder.exists() and not user.may_pass(folder.stat()):
            raise BringUpFailed(
                f"As root, the embedded Postgres runs as the user {user.name}, who may not pass through {folder} "
                f"(mode {stat.S_IMODE(folder.stat().st_mode):04o}); it stays closed. Choose another --data-dir (the "
                "default is /var/lib/planvault), run as an ordinary user, or set DATABASE_URL."
            )
