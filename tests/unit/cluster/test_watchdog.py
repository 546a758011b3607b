"""The watchdog's rounds, on a server that lives and dies by the test; and its own end."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.data_dir import DataDir, locked, prepare
from cluster.watchdog import SLOWEST_S, STEADY_S, Watchdog
from planvault.errors import BringUpFailed


@dataclass
class FakeServer:
    alive: bool = True
    ready: bool = True
    starts: bool = True  # whether a launch works
    error: str = ""
    launches: int = 0

    def pid(self) -> int | None:
        return 7 if self.alive else None

    def takes_connections(self) -> bool:
        return self.alive and self.ready

    def launch(self) -> int | None:
        self.launches += 1
        if self.error:
            raise BringUpFailed(self.error)
        self.alive, self.ready = self.starts, False
        return self.pid()

    def log_end(self) -> str:
        return "FATAL: no"


@dataclass
class Scene:
    data: DataDir
    server: FakeServer = field(default_factory=FakeServer)
    said: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(self.data, self.server, self.say, lambda: self.now)

    def say(self, event: str, /, **fields: str | int | float | None) -> None:
        self.said.append((event, fields))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.said]

    def look_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.watchdog.look()
            self.now += 1


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(prepare(tmp_path / "data", None))


def test_a_living_server_is_left_alone(scene: Scene) -> None:
    scene.look_for(5)
    assert (scene.server.launches, scene.said) == (0, [])


def test_a_dead_server_is_started_at_once_and_its_recovery_is_followed(scene: Scene) -> None:
    scene.server.alive = False
    scene.look_for(3)
    assert scene.server.launches == 1
    assert scene.events == ["postgres_gone", "postgres_launched"]
    scene.server.ready = True
    scene.look_for(3)
    assert scene.events == ["postgres_gone", "postgres_launched", "postgres_ready"]


def test_nothing_is_started_while_a_command_holds_the_directory(scene: Scene) -> None:
    """`down` stops the server, and `up` starts it: neither finds the watchdog doing the opposite."""
    scene.server.alive = False
    with locked(scene.data):
        scene.look_for(3)
    assert (scene.server.launches, scene.said) == (0, [])
    scene.look_for(1)
    assert scene.server.launches == 1


def test_the_directory_is_free_while_the_server_recovers(scene: Scene) -> None:
    scene.server.alive = False
    scene.look_for(1)
    with locked(scene.data, patience_s=0):
        pass


@pytest.mark.parametrize("failure", [{"starts": False}, {"error": "no disk"}])
def test_attempts_that_fail_become_rarer_and_never_stop(scene: Scene, failure: dict[str, object]) -> None:
    scene.server.alive = False
    for name, value in failure.items():
        setattr(scene.server, name, value)
    scene.look_for(64)
    assert scene.server.launches == 7  # after 0, 1, 3, 7, 15, 31 and 61 seconds
    reason = str(failure.get("error", "FATAL: no"))
    assert scene.said[-1] == ("postgres_not_started", {"reason": reason, "next_attempt_s": SLOWEST_S})


def test_a_server_that_dies_again_and_again_is_not_started_every_second(scene: Scene) -> None:
    for _ in range(30):
        scene.server.alive = False
        scene.look_for(1)
    assert scene.server.launches == 5


def test_a_server_that_lived_for_a_while_is_started_at_once_again(scene: Scene) -> None:
    for _ in range(3):
        scene.server.alive = False
        scene.look_for(1)
        scene.server.ready = True
        scene.look_for(int(STEADY_S) + 5)
    assert [fields["attempt"] for event, fields in scene.said if event == "postgres_gone"] == [1, 1, 1]


def test_it_ends_by_itself_when_it_is_alone_in_its_session(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data", None)
    alone = subprocess.run(
        [sys.executable, "-m", "cluster.watchdog", str(data.root)],
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
    )
    assert (alone.returncode, alone.stderr) == (0, "")
    assert [json.loads(line)["event"] for line in alone.stdout.splitlines()] == ["watching", "ended"]


def test_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, cluster.watchdog; "
        "print([m for m in ('ray', 'torch', 'pydantic', 'httpx', 'asyncpg') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert loaded.stdout.strip() == "[]"
