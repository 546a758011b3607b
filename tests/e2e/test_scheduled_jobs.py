"""Jobs on the running platform: the scheduler sends them, and comes back when it is killed."""

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO

import httpx
import psutil
import pytest
from rich.console import Console

from cluster import state
from cluster.data_dir import existing
from models.base import JsonObject
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from tests.e2e.conftest import PlanVault, Platform
from tests.e2e.slow_shop import slow_shop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Ray's restart of an actor on a busy machine, and the run itself.
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Iterator[None]:
    """An imported shop to ask."""
    with slow_shop(0.0) as base_url:
        spec = httpx.get(f"{base_url}/openapi.json").json()
        started = api.import_spec("jobshop", base_url=base_url, spec=spec)
        report = await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        assert report["status"] == "completed", report
        yield
        api.delete_integration(str(started["toolId"]))


def eventually(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come true within {PATIENCE_S:g} s"
        time.sleep(0.1)  # a poll of another process's state


def occurrence(job: JsonObject) -> JsonObject:
    last = job["lastOccurrence"]
    assert isinstance(last, dict)
    return last


def schedulers(platform: Platform) -> list[psutil.Process]:
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray is not None
    return [process for process in found.ray.members() if "Scheduler" in "".join(process.cmdline())]


def test_a_job_made_over_the_api_runs_its_prompt_though_the_scheduler_was_killed(
    platform: Platform, api: ApiClient, shop: None
) -> None:
    """Made while no scheduler lives: the supervisor's next one sends it, once."""
    eventually(lambda: len(schedulers(platform)) == 1, "a scheduler")
    for process in schedulers(platform):
        process.kill()
    body: JsonObject = {
        "prompt": "show customer 1",
        "delaySeconds": 0,
        "tags": ["scheduled"],
        "settings": {"autoApprovePlan": True},
    }
    job_id = str(api.create_job(body)["id"])
    eventually(lambda: api.scheduled_job(job_id)["status"] in {"completed", "failed"}, "the end of the job's run")
    job = api.scheduled_job(job_id)
    assert (job["status"], occurrence(job)["runStatus"]) == ("completed", "completed")
    [session] = api.sessions(tag="scheduled")
    assert session["id"] == occurrence(job)["sessionId"]
    history = api.history(str(session["id"]))
    assert [event["eventType"] for event in history].count("prompt") == 1
    [done] = [event for event in history if event["eventType"] == "done"]
    assert "Ada Lovelace" in str(done["reply"])
    assert [run["id"] for run in api.runs(str(session["id"]))] == [occurrence(job)["runId"]]
    assert len(api.job_occurrences(job_id)) == 1


def test_a_job_is_made_listed_and_cancelled_on_the_command_line(platform: Platform, planvault: PlanVault) -> None:
    here = ("--data-dir", str(platform.data_dir))
    made = planvault("jobs", "create", "show the orders", "--every", "daily", "--time", "09:00", *here)
    assert made.returncode == 0, made.stderr
    job_id = made.stdout.strip()
    assert job_id in planvault("jobs", "list", *here).stdout
    assert planvault("jobs", "cancel", job_id, *here).returncode == 0
    assert json.loads(planvault("jobs", "get", job_id, *here).stdout)["status"] == "cancelled"
