"""Ray's own daemons are killed with -9 in the middle of runs, one of them or all; `planvault up` brings it all back.

Nothing watches them on a machine of its own: Ray does not outlive its GCS or its raylet there, and what it ran is
in the record.
"""

import json
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from cluster import state
from cluster.data_dir import existing
from cluster.ports import free_port
from cluster.topology import LOOPBACK
from models.base import JsonObject
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from planvault.cli.problem import ApiProblem
from tests.e2e.conftest import UP_TIMEOUT_S, PlanVault
from tests.e2e.slow_shop import slow_shop

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(900)]

LATENCY_S = 6.0  # long enough for a loaded machine to kill while a call is on the wire
PATIENCE_S = 90.0


def eventually(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come true within {PATIENCE_S:g} s"
        time.sleep(0.1)  # a poll of another process's state


def of_type(api: ApiClient, session: str, kind: str) -> list[JsonObject]:
    try:
        return [event for event in api.history(session) if event["eventType"] == kind]
    except ApiProblem as problem:
        if problem.status < 500:
            raise
        return []  # it has only just come back


def begin(api: ApiClient, prompt: str) -> str:
    session = str(api.create_session({"settings": {"autoApprovePlan": True}})["id"])
    api.send_message(session, prompt)
    return session


def kill(data_dir: Path, victim: str) -> None:
    """`victim`: the name of one of Ray's daemons, or all: every process of the platform but the database's."""
    found = state.read(existing(data_dir))
    assert found is not None
    assert found.ray is not None
    members = [process for process in found.ray.members() if victim in ("all", process.name())]
    assert members
    for process in members:
        process.kill()
    psutil.wait_procs(members, timeout=10)


class Running:
    """A platform of this test's own that can be brought up again in its place."""

    def __init__(self, planvault: PlanVault, data_dir: Path) -> None:
        self._planvault = planvault
        self._port = str(free_port(LOOPBACK))
        self.data_dir = data_dir

    def up(self) -> dict[str, str]:
        where = ("--data-dir", str(self.data_dir), "--port", self._port)
        done = self._planvault("up", "--detach", "--json", *where, timeout=UP_TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        made: dict[str, str] = json.loads(done.stdout)
        return made


@pytest.fixture
def running(planvault: PlanVault, fresh_dir: Path) -> Running:
    return Running(planvault, fresh_dir)  # fresh_dir takes it down


def test_ray_killed_in_the_middle_of_runs_loses_and_repeats_nothing(running: Running) -> None:
    made = running.up()
    keys = {"project_id": made["projectId"], "project_key": made["projectKey"]}
    keys |= {"org_id": made["orgId"], "admin_token": made["adminToken"]}
    with slow_shop(LATENCY_S) as shop, ApiClient(made["baseUrl"], **keys) as api:
        spec = httpx.get(f"{shop}/openapi.json", timeout=60).json()
        started = api.import_spec("slowshop", base_url=shop, spec=spec)
        report = await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        assert report["status"] == "completed", report
        for victim in ("raylet", "gcs_server", "all"):
            dies(running, api, shop, victim)


def dies(running: Running, api: ApiClient, shop: str, victim: str) -> None:
    message = f"your tea is ready, {victim}"

    def sent() -> int:
        items: list[JsonObject] = httpx.get(f"{shop}/notifications", timeout=60).json()["items"]
        return sum(item["message"] == message for item in items)

    reading = begin(api, "show customer 1 and then show customer 2 and then show customer 3")
    eventually(lambda: bool(of_type(api, reading, "tool_start")), "the first read")
    writing = begin(api, f'send notification to customer 2 by email with message "{message}"')
    eventually(lambda: bool(of_type(api, writing, "tool_start")), "the call")
    kill(running.data_dir, victim)
    running.up()

    eventually(lambda: bool(of_type(api, reading, "done")), "the end of the reads")
    [done] = of_type(api, reading, "done")
    assert done["status"] == "completed"
    assert "Grace Hopper" in str(done["reply"])

    eventually(
        lambda: api.runs(writing)[0]["status"] in ("needs_manual_recovery", "completed"), "the writing run's fate"
    )
    run = api.runs(writing)[0]
    assert sent() <= 1
    if run["status"] == "needs_manual_recovery":
        api.act(writing, "resolve", runId=run["id"], resolution="mark_done", result={"id": 1})
    else:  # a host outlives its raylet for some seconds: the answer came in time
        assert victim != "all"
        assert sent() == 1
    eventually(lambda: bool(of_type(api, writing, "done")), "the end of the run")
    assert of_type(api, writing, "done")[0]["status"] == "completed"
    assert sent() <= 1
    assert len(of_type(api, writing, "tool_start")) == 1
