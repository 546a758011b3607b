"""Processes are found by their session, and ended for certain."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from cluster.processes import ProcessSession, stop

# Starts a child that ignores SIGTERM, tells its pid, and ends: the child is left to init, as Ray's daemons are.
_ORPHANING = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"],
    stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
"""


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def orphan() -> Iterator[tuple[ProcessSession, int]]:
    """A session whose leader has gone, with one stubborn member."""
    started = time.time()
    leader = subprocess.Popen([sys.executable, "-c", _ORPHANING], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout is not None
    pid = int(leader.stdout.readline())
    leader.wait(10)
    leader.stdout.close()
    yield ProcessSession(leader.pid, started), pid
    if _is_alive(pid):
        os.kill(pid, signal.SIGKILL)


def test_a_member_is_found_when_its_parent_has_gone(orphan: tuple[ProcessSession, int]) -> None:
    session, pid = orphan
    assert [process.pid for process in session.members()] == [pid]


def test_one_that_ignores_sigterm_is_killed(orphan: tuple[ProcessSession, int]) -> None:
    session, pid = orphan
    assert stop([], session, timeout_s=0.4) == []
    assert not _is_alive(pid)


def test_processes_older_than_the_session_are_not_ours(orphan: tuple[ProcessSession, int]) -> None:
    session, _ = orphan
    assert ProcessSession(session.sid, time.time() + 3_600).members() == []


def test_a_session_from_before_the_last_boot_has_no_members(orphan: tuple[ProcessSession, int]) -> None:
    session, _ = orphan
    assert ProcessSession(session.sid, psutil.boot_time() - 60).members() == []


def test_stopping_what_has_ended_is_no_error() -> None:
    assert stop([], ProcessSession(2**22 + 1, time.time()), timeout_s=0.2) == []
