"""Bring-up and take-down on directories of their own; and the ways in which bring-up is refused."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import state
from cluster.data_dir import existing
from cluster.ports import free_port
from cluster.topology import LOOPBACK
from tests.e2e.conftest import DOWN_TIMEOUT_S, UP_TIMEOUT_S, PlanVault, Platform, processes_of

pytestmark = pytest.mark.e2e


def test_an_impatient_interruption_while_starting_leaves_nothing_running(fresh_dir: Path) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "planvault.cli", "up", "--data-dir", str(fresh_dir), "--port", str(free_port(LOOPBACK))],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert starting.stderr is not None
    for line in starting.stderr:
        if "actors: starting" in line:
            break
    found = state.read(existing(fresh_dir))
    assert found is not None
    assert found.ray is not None
    assert found.ray.members()
    starting.send_signal(signal.SIGINT)
    starting.send_signal(signal.SIGTERM)
    _, errors = starting.communicate(timeout=UP_TIMEOUT_S)
    assert starting.returncode == 130
    assert "Traceback" not in errors
    assert found.ray.members() == []
    assert processes_of(fresh_dir) == []


def test_down_where_nothing_runs_is_no_error(fresh_dir: Path, planvault: PlanVault) -> None:
    down = planvault("down", "--data-dir", str(fresh_dir))
    assert (down.returncode, down.stdout.strip()) == (0, "Nothing was running.")
    assert not fresh_dir.exists()


def test_an_unwritable_directory_is_refused(planvault: PlanVault) -> None:
    refused = planvault("up", "--detach", "--data-dir", "/proc/planvault")
    assert refused.returncode == 1
    assert "data directory" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_that_does_not_answer_is_refused_without_telling_its_password(
    fresh_dir: Path, planvault: PlanVault
) -> None:
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))
        url = f"postgresql://app:hunter2@{LOOPBACK}:{closed.getsockname()[1]}/app"
        refused = planvault("up", "--detach", "--data-dir", str(fresh_dir), DATABASE_URL=url)
    assert refused.returncode == 1
    assert "does not answer" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr
    assert processes_of(fresh_dir) == []


def test_a_failed_start_leaves_nothing_running(fresh_dir: Path, planvault: PlanVault) -> None:
    """The keyset is damaged: found out when the database is up and Ray is starting."""
    fresh_dir.mkdir()
    keyset = fresh_dir / "keyset.json"
    keyset.write_text("{}")
    keyset.chmod(0o600)
    port = str(free_port(LOOPBACK))
    failed = planvault("up", "--detach", "--data-dir", str(fresh_dir), "--port", port, timeout=UP_TIMEOUT_S)
    assert failed.returncode == 1
    assert "keyset" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert processes_of(fresh_dir) == []
    assert state.read(existing(fresh_dir)) is None


def test_help_is_quick_because_it_imports_nothing_heavy(planvault: PlanVault) -> None:
    script = (
        "import sys; import planvault.cli.main; print([m for m in ('ray', 'torch', 'litellm') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert loaded.stdout.strip() == "[]"
    assert planvault("--help").returncode == 0


@pytest.mark.timeout(400)
def test_ctrl_c_takes_a_foreground_platform_down_and_a_second_start_keeps_the_tenant(
    home: Path, there: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """The second start is that of the platform which the tests of the modules after this one share."""
    foreground = subprocess.Popen(
        [sys.executable, "-m", "planvault.cli", "up", "--json", *there],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert foreground.stdout is not None
        first = ""
        for line in foreground.stdout:  # until it is healthy, or has ended
            first += line
            if line == "}\n":
                break
        assert first, foreground.communicate(timeout=DOWN_TIMEOUT_S)
        found = state.read(existing(home))
        assert found is not None
        assert found.ray is not None
        assert found.ray.members()
        foreground.send_signal(signal.SIGINT)
        _, errors = foreground.communicate(timeout=DOWN_TIMEOUT_S)
    finally:
        if foreground.poll() is None:
            foreground.kill()
    assert foreground.returncode == 0
    assert "Traceback" not in errors
    assert found.ray.members() == []
    assert processes_of(home) == []

    again: Platform = request.getfixturevalue("platform")
    assert again.credentials == json.loads(first)
