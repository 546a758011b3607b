"""The local Ray head: `ray start`, bound to loopback, with a token, in a POSIX session of its own.

The `ray` command is used rather than its Python API: the head outlives the command that started it, and the process
that watches over the bring-up stays free of Ray.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster import watchdog
from cluster.data_dir import DataDir, private_folder
from cluster.patience import late, patience
from cluster.ports import free_port, preferred_port
from cluster.processes import ProcessSession, describe, stop
from cluster.topology import DASHBOARD_PORT, LOOPBACK, OBJECT_STORE_BYTES, RAY_DIR_MAX
from planvault.errors import BringUpFailed

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 6.0


@dataclass(frozen=True, slots=True)
class RayHead:
    """A running head."""

    session: ProcessSession
    folder: Path
    address: str
    dashboard_url: str


def home(data: DataDir) -> Path:
    """Ray's folder. Ray opens it to everybody (mode 0777), so it lies in one that is closed."""
    return data.short("ray", RAY_DIR_MAX - len("/s")) / "s"


def start(
    data: DataDir,
    environment: Mapping[str, str],
    started: Callable[[ProcessSession, Path], None],
    *,
    watched: bool,
) -> RayHead:
    """Start the head and wait until it answers; `started` is called as soon as there is something to clean up.

    `watched`: the watchdog of the embedded Postgres runs beside it. Raises BringUpFailed with what Ray said.
    """
    folder = home(data)
    private_folder(folder.parent)
    _forget_old_sessions(folder)
    with preferred_port(LOOPBACK, DASHBOARD_PORT) as dashboard_port:
        session = _launched(data, environment, started, folder, dashboard_port, watched=watched)
    address = (folder / "ray_current_cluster").read_text(encoding="utf-8").strip()
    return RayHead(session, folder, address, f"http://{LOOPBACK}:{dashboard_port}")


def _launched(
    data: DataDir,
    environment: Mapping[str, str],
    started: Callable[[ProcessSession, Path], None],
    folder: Path,
    dashboard_port: int,
    *,
    watched: bool,
) -> ProcessSession:
    """The head, answering. Raises BringUpFailed with what Ray said."""
    limit_s = START_TIMEOUT_S * patience(environment)
    log = data.logs / "ray-start.log"
    command = _command(folder, dashboard_port)
    with log.open("wb") as output:
        launched_at = time.time()
        process = subprocess.Popen(  # noqa: S603
            _beside_watchdog(data, command) if watched else command,
            env=dict(environment),
            cwd=data.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        session = ProcessSession(process.pid, launched_at)
        started(session, folder)
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise late(f"Ray (log: {log}) did not start", limit_s) from None
    if status != 0:
        raise BringUpFailed(f"Ray did not start: {_last_lines(log)} (log: {log})")
    return session


def runs(session: ProcessSession) -> bool:
    """Whether the head itself lives. Without either of its two daemons whatever is left of it can do nothing more."""
    return {"raylet", "gcs_server"} <= {_name(process) for process in session.members()}


def session_name(folder: Path | None) -> str:
    """What Ray calls the session in `folder`, and `get_session_name()` in its processes; empty where there is none."""
    latest = None if folder is None else folder / "session_latest"
    return latest.resolve().name if latest is not None and latest.is_symlink() else ""


def halt(session: ProcessSession) -> None:
    """End every process of the head, workers included, and wait. Raises BringUpFailed where one survives."""
    # The raylet first: it ends its workers in order, and they do not log that their node has gone.
    raylets = [process for process in session.members() if _name(process) == "raylet"]
    left = stop(raylets, session, timeout_s=STOP_TIMEOUT_S)
    if left:
        raise BringUpFailed(f"These processes of Ray could not be ended: {describe(left)}.")


def _command(folder: Path, dashboard_port: int) -> list[str]:
    return [
        # The `ray` beside this interpreter, whatever PATH says.
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--disable-usage-stats"),
        *("--node-ip-address", LOOPBACK, "--port", "0", "--temp-dir", str(folder)),
        *("--include-dashboard", "true", "--dashboard-host", LOOPBACK, "--dashboard-port", str(dashboard_port)),
        *("--dashboard-agent-listen-port", str(free_port(LOOPBACK))),
        *("--object-store-memory", str(OBJECT_STORE_BYTES)),
        # No autoscaler on one node, and nobody tails the workers' logs: two processes fewer.
        *("--no-monitor", "--include-log-monitor", "false"),
        *("--log-style", "record", "--log-color", "false"),
    ]


def _beside_watchdog(data: DataDir, command: list[str]) -> list[str]:
    """Nobody can join a POSIX session later: what is to end with Ray is born in its session, before `ray start`."""
    script = '"$0" -m "$1" "$2" >"$3" 2>&1 & shift 3; exec "$@"'
    return ["/bin/sh", "-c", script, sys.executable, watchdog.MODULE, str(data.root), str(data.watchdog_log), *command]


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _forget_old_sessions(folder: Path) -> None:
    """Logs of the run before stay readable until the next start, and no longer."""
    for path in folder.glob("session_*"):
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)
    (folder / "ray_current_cluster").unlink(missing_ok=True)


def _last_lines(log: Path, count: int = 5) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-count:]) or "it said nothing"
