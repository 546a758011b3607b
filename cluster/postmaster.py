"""The processes of one embedded Postgres, seen from outside: its postmaster, and what a killed one leaves behind."""

import signal
from pathlib import Path

import psutil

_READY_LINE = 7  # of postmaster.pid (miscadmin.h, LOCK_FILE_LINE_PM_STATUS)
_QUIT_S = 2.0
_KILL_S = 2.0


def postmaster(data: Path) -> int | None:
    """The living postmaster's process id. `data`: the server's own directory."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        # After a crash the number may belong to anybody, another Postgres included.
        return pid if str(data) in psutil.Process(pid).cmdline() else None
    except (FileNotFoundError, NotADirectoryError, ValueError, psutil.NoSuchProcess):
        return None


def takes_connections(data: Path) -> bool:
    """Whether start-up, crash recovery included, is over: the postmaster says so in its pid file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"


def clear_crash(data: Path, sockets: Path, cluster_name: str) -> int:
    """End what a killed postmaster left: backends, holding its shared memory, and lock files. Counts the backends.

    For a server without a living postmaster only. A new one would refuse to start beside the old backends, which notice
    its death only when they next wait for something; and it would take the lock files for true where the number in them
    lives on as another process of the same user, or as a zombie that nobody collects.
    """
    left = _orphans(cluster_name)
    for process in left:
        _send(
            process, signal.SIGQUIT
        )  # what the postmaster itself sends for an immediate shutdown: no clean-up, just an end
    _, stubborn = psutil.wait_procs(left, timeout=_QUIT_S)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    _, alive = psutil.wait_procs(stubborn, timeout=_KILL_S)
    if not alive:
        for lock in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)
    return len(left)


def _orphans(cluster_name: str) -> list[psutil.Process]:
    """Every child of the server is entitled `postgres: CLUSTER_NAME: what it does`."""
    title = f"postgres: {cluster_name}: "
    return [found for found in psutil.process_iter() if _title(found).startswith(title)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it noticed by itself
