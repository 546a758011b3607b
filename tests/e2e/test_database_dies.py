"""The embedded Postgres is killed with -9 under a running platform, which heals by itself."""

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO

import httpx
import psutil
import pytest
from rich.console import Console

from cluster.data_dir import existing
from cluster.health import probe
from cluster.postmaster import postmaster
from models.base import JsonObject
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from planvault.cli.problem import ApiProblem
from tests.e2e.conftest import PlanVault, Platform
from tests.e2e.slow_shop import slow_shop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LATENCY_S = 0.5
# Seconds on a machine of its own; the tests share theirs.
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Iterator[None]:
    with slow_shop(LATENCY_S) as base_url:
        spec = httpx.get(f"{base_url}/openapi.json").json()
        started = api.import_spec("steadyshop", base_url=base_url, spec=spec)
        report = await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        assert report["status"] == "completed", report
        yield
        api.delete_integration(str(started["toolId"]))


def kill_postgres(platform: Platform) -> int:
    pid = postmaster(existing(platform.data_dir).postgres)
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=10)
    return pid


def eventually(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come true within {PATIENCE_S:g} s"
        time.sleep(0.1)  # a poll of another process's state


def healthy(platform: Platform) -> bool:
    found = probe(platform.base_url)
    return found is not None and found.ready


def ended(api: ApiClient, session: str) -> JsonObject | None:
    """The run's last event; None while it goes on, or while nobody can be asked."""
    try:
        history = api.history(session)
    except ApiProblem as problem:
        if problem.status < 500:
            raise
        return None
    return next((event for event in history if event["eventType"] == "done"), None)


def send(api: ApiClient, prompt: str) -> str:
    session = str(api.create_session({"settings": {"autoApprovePlan": True}})["id"])
    api.send_message(session, prompt)
    return session


def reply(api: ApiClient, session: str) -> str:
    eventually(lambda: ended(api, session) is not None, "the end of the run")
    done = ended(api, session)
    assert done is not None
    assert done["status"] == "completed", done
    return str(done["reply"])


@pytest.mark.usefixtures("shop")
def test_a_killed_postgres_comes_back_and_no_accepted_message_is_lost(platform: Platform, api: ApiClient) -> None:
    accepted = send(api, "show customer 1 and then show customer 2")
    killed = kill_postgres(platform)
    eventually(lambda: postmaster(existing(platform.data_dir).postgres) not in (None, killed), "a new postmaster")
    eventually(lambda: healthy(platform), "the platform's health")
    assert "Emmy Noether" in reply(api, send(api, "show customer 4"))
    assert "Ada Lovelace" in reply(api, accepted)


def test_status_names_the_watchdog_and_its_log_the_restart(platform: Platform, planvault: PlanVault) -> None:
    killed = kill_postgres(platform)

    def restarts() -> list[JsonObject]:
        lines = existing(platform.data_dir).watchdog_log.read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == "postgres_launched"]

    eventually(lambda: postmaster(existing(platform.data_dir).postgres) not in (None, killed), "a new postmaster")
    eventually(lambda: healthy(platform), "the platform's health")
    assert restarts()[-1]["pid"] == postmaster(existing(platform.data_dir).postgres)
    status = json.loads(planvault("status", "--json", "--data-dir", str(platform.data_dir)).stdout)
    assert status["parts"]["watchdog"] == {"ready": True, "needed": True, "detail": "restarts the embedded Postgres"}
