"""Finds and ends the processes of one platform, and proves that none is left.

Ray starts its daemons and workers in the POSIX session of `ray start`, and gives them titles that hide where they came
from. The session id stays with each of them, whoever its parent becomes; so it is what names the platform's processes.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil

# Clocks of the kernel's process table and of Python differ by less than this.
_CLOCK_SLACK_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessSession:
    """A POSIX session that we made. `started_at` (Unix seconds) tells it from a later one with the same number."""

    sid: int
    started_at: float

    def members(self) -> list[psutil.Process]:
        """Its living processes. Empty where the number has gone to a session that is not ours."""
        if self.started_at < psutil.boot_time() - _CLOCK_SLACK_S:
            return []  # made before the machine last started
        found = [process for process in psutil.process_iter() if _in_session(process, self.sid)]
        oldest = self.started_at - _CLOCK_SLACK_S
        return [process for process in found if _created(process) >= oldest]


def stop(first: Sequence[psutil.Process], rest: ProcessSession, *, timeout_s: float) -> list[psutil.Process]:
    """Ask `first` to end and wait, then all others of the session, then kill. Returns what survived even that."""
    deadline = time.monotonic() + timeout_s
    _each(first, "terminate")
    psutil.wait_procs(first, timeout=timeout_s / 2)
    members = rest.members()
    _each(members, "terminate")
    psutil.wait_procs(members, timeout=max(0.1, deadline - time.monotonic()))
    stubborn = rest.members()
    _each(stubborn, "kill")
    psutil.wait_procs(stubborn, timeout=2.0)
    return rest.members()


def has_company() -> bool:
    """Whether another process lives in this one's POSIX session."""
    me, sid = os.getpid(), os.getsid(0)
    return any(process.pid != me and _in_session(process, sid) for process in psutil.process_iter())


def describe(processes: Iterable[psutil.Process]) -> str:
    return ", ".join(f"{process.pid} ({_title(process)})" for process in processes)


def _in_session(process: psutil.Process, sid: int) -> bool:
    try:
        return os.getsid(process.pid) == sid and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _created(process: psutil.Process) -> float:
    try:
        return float(process.create_time())
    except psutil.Error:
        return 0.0


def _title(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "gone"


def _each(processes: Iterable[psutil.Process], method: str) -> None:
    for process in processes:
        try:
            getattr(process, method)()
        except psutil.NoSuchProcess:
            continue  # it ended by itself, which is what was wanted
