"""One whole platform for all end-to-end tests, brought up and taken down through the command line."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx
import psutil
import pytest

from cluster.ports import free_port
from cluster.topology import LOOPBACK
from models.base import JsonObject
from planvault.cli.client import ApiClient

# Far more than it takes: the machine runs other tests beside it.
UP_TIMEOUT_S = 150
DOWN_TIMEOUT_S = 60

PlanVault: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Platform:
    """A healthy platform: `credentials` as `up --json` printed them, in their wire names."""

    data_dir: Path
    credentials: dict[str, str]

    @property
    def base_url(self) -> str:
        return self.credentials["baseUrl"]

    @property
    def runtime_url(self) -> str:
        return f"{self.base_url}/api/v1/projects/{self.credentials['projectId']}"

    @property
    def admin_url(self) -> str:
        return f"{self.base_url}/admin/v1/orgs/{self.credentials['orgId']}"

    @property
    def project_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials['projectKey']}"}

    @property
    def admin_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials['adminToken']}"}

    def health(self) -> JsonObject:
        answer: JsonObject = httpx.get(f"{self.base_url}/health", trust_env=False).json()
        return answer


@pytest.fixture(scope="session")
def planvault() -> PlanVault:
    """Runs the command line in a process of its own: `planvault("status", "--json")`; never raises for a failure."""

    def run(*arguments: str, timeout: float = DOWN_TIMEOUT_S, **environment: str) -> "subprocess.CompletedProcess[str]":
        inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL",)}
        return subprocess.run(
            [sys.executable, "-m", "planvault.cli", *arguments],
            env=inherited | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@contextmanager
def data_directory() -> Iterator[Path]:
    """A name for a data directory: short, for sockets, and where the database's user can reach it as root.

    What runs there at the end is taken down.
    """
    root = Path(tempfile.mkdtemp(prefix="pv-", dir="/tmp"))
    root.chmod(0o755)
    yield root / "data"
    subprocess.run(
        [sys.executable, "-m", "planvault.cli", "down", "--data-dir", str(root / "data")],
        capture_output=True,
        timeout=DOWN_TIMEOUT_S,
    )
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def fresh_dir() -> Iterator[Path]:
    with data_directory() as data_dir:
        yield data_dir


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    """The shared platform's data directory."""
    with data_directory() as data_dir:
        yield data_dir


@pytest.fixture(scope="package")
def there(home: Path) -> tuple[str, ...]:
    """Arguments of `up` for the shared platform."""
    return ("--data-dir", str(home), "--port", str(free_port(LOOPBACK)))


@pytest.fixture(scope="package")
def platform(planvault: PlanVault, home: Path, there: tuple[str, ...]) -> Iterator[Platform]:
    """The shared platform. Tests leave it as they found it: sessions and integrations of their own, under own names.

    Down after the last of them: an idle platform takes a part of a core from the thousands of tests that follow.
    """
    up = planvault("up", "--detach", "--json", *there, timeout=UP_TIMEOUT_S)
    assert up.returncode == 0, f"the platform did not come up:\n{up.stderr}"
    yield Platform(home, json.loads(up.stdout))
    down = planvault("down", "--json", "--data-dir", str(home))
    assert down.returncode == 0, f"the platform did not go down:\n{down.stderr}"
    assert json.loads(down.stdout)["stopped"] is True
    assert processes_of(home) == []


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Whatever still names the directory in its command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(data_dir) in " ".join(process.info["cmdline"] or ()):
            found.append(process)
    return found


@pytest.fixture(scope="package")
def api(platform: Platform) -> Iterator[ApiClient]:
    """A client of the shared platform's public API, with its project key and its admin token."""
    made = platform.credentials
    with ApiClient(
        platform.base_url,
        project_id=made["projectId"],
        project_key=made["projectKey"],
        org_id=made["orgId"],
        admin_token=made["adminToken"],
    ) as client:
        yield client
