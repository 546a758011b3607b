"""What `up` makes of the record of a platform: refused where it runs, cleared away where it has died."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cluster import state
from cluster.bringup import UpOptions, up
from cluster.data_dir import DataDir, prepare
from cluster.processes import ProcessSession
from cluster.topology import LOOPBACK
from planvault.errors import BringUpFailed

# Starts programs beside itself, in one session, and ends.
_TOGETHER = 'for program in "$@"; do "$program" 60 & done; echo started'


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., ProcessSession]]:
    """A session of processes that only sleep, under the given names."""
    made: list[ProcessSession] = []

    def run(*names: str) -> ProcessSession:
        sleep = shutil.which("sleep")
        assert sleep is not None
        programs = [str(shutil.copy(sleep, tmp_path / name)) for name in names]
        started_at = time.time()
        leader = subprocess.Popen(
            ["/bin/sh", "-c", _TOGETHER, "sh", *programs], stdout=subprocess.PIPE, start_new_session=True
        )
        assert leader.stdout is not None
        leader.stdout.readline()
        leader.wait(10)
        leader.stdout.close()
        made.append(ProcessSession(leader.pid, started_at))
        return made[-1]

    yield run
    for session in made:
        for process in session.members():
            process.kill()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Where a bring-up that was not refused before ends for certain, with nothing started."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def recorded(tmp_path: Path, session: ProcessSession) -> DataDir:
    data = prepare(tmp_path / "data", None)
    url = f"http://{LOOPBACK}:1"
    found = state.PlatformState(phase="healthy", base_url=url, ray_sid=session.sid, ray_started_at=session.started_at)
    state.write(data, found)
    return data


def bring_up(data: DataDir, port: int) -> None:
    up(UpOptions(data.root, port=port, database_url="postgresql://nobody@/none"), lambda _part, _text: None)


def named(session: ProcessSession) -> set[str]:
    return {psutil.Process(process.pid).name() for process in session.members()}


def test_a_platform_whose_head_lives_is_left_alone(
    tmp_path: Path, running: Callable[..., ProcessSession], taken_port: int
) -> None:
    session = running("raylet", "gcs_server")
    data = recorded(tmp_path, session)
    with pytest.raises(BringUpFailed, match="already runs"):
        bring_up(data, taken_port)
    assert named(session) == {"raylet", "gcs_server"}


@pytest.mark.parametrize("left", [(), ("watchdog",), ("gcs_server", "worker"), ("raylet",)])
def test_what_a_dead_platform_left_is_cleared_away(
    tmp_path: Path, running: Callable[..., ProcessSession], taken_port: int, left: tuple[str, ...]
) -> None:
    session = running(*left)
    data = recorded(tmp_path, session)
    with pytest.raises(BringUpFailed, match=r"Port .* is in use"):
        bring_up(data, taken_port)
    assert session.members() == []
    assert state.read(data) is None
