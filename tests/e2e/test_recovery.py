"""Session hosts are killed with -9 in the middle of runs; the platform goes on by itself."""

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
from tests.e2e.conftest import Platform
from tests.e2e.slow_shop import slow_shop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LATENCY_S = 1.0
# A host's lease, Ray's restart of the actor on a busy machine, and the run itself.
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Iterator[str]:
    """Base URL of the imported, slow shop."""
    with slow_shop(LATENCY_S) as base_url:
        spec = httpx.get(f"{base_url}/openapi.json").json()
        started = api.import_spec("slowshop", base_url=base_url, spec=spec)
        report = await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        assert report["status"] == "completed", report
        yield base_url
        api.delete_integration(str(started["toolId"]))


def session_hosts(platform: Platform) -> list[psutil.Process]:
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray is not None
    return [process for process in found.ray.members() if "SessionHost" in "".join(process.cmdline())]


def kill_session_hosts(platform: Platform) -> None:
    """Both: Ray may still be restarting those that a test before this one has killed."""
    eventually(lambda: len(session_hosts(platform)) == 2, "two hosts")
    hosts = session_hosts(platform)
    for host in hosts:
        host.kill()
    psutil.wait_procs(hosts, timeout=10)


def eventually(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come true within {PATIENCE_S:g} s"
        time.sleep(0.1)  # a poll of another process's state


def of_type(history: list[JsonObject], kind: str) -> list[JsonObject]:
    return [event for event in history if event["eventType"] == kind]


def begin(api: ApiClient, prompt: str) -> str:
    session = str(api.create_session({"settings": {"autoApprovePlan": True}})["id"])
    api.send_message(session, prompt)
    return session


def test_a_run_of_reads_killed_in_the_middle_comes_back_and_finishes(
    platform: Platform, api: ApiClient, shop: str
) -> None:
    session = begin(api, "show customer 1 and then show customer 2 and then show customer 3")
    eventually(lambda: len(of_type(api.history(session), "tool_start")) == 1, "the calls: reads go out together")
    kill_session_hosts(platform)
    assert of_type(api.history(session), "done") == [], "killed too late"
    eventually(lambda: bool(of_type(api.history(session), "done")), "the end of the run")
    history = api.history(session)
    [done] = of_type(history, "done")
    assert done["status"] == "completed"
    assert "Grace Hopper" in str(done["reply"])
    assert of_type(history, "error") == []
    sequence = [event["seq"] for event in history]
    assert sequence == sorted(set(sequence))


def test_a_message_sent_while_no_host_lives_is_not_lost(platform: Platform, api: ApiClient, shop: str) -> None:
    session = str(api.create_session({"settings": {"autoApprovePlan": True}})["id"])
    kill_session_hosts(platform)
    api.send_message(session, "show customer 4")
    eventually(lambda: bool(of_type(api.history(session), "done")), "the end of the run")
    assert "Emmy Noether" in str(of_type(api.history(session), "done")[0]["reply"])


def test_an_effect_in_flight_at_the_kill_is_left_to_the_operator_and_happens_once(
    platform: Platform, api: ApiClient, shop: str
) -> None:
    def sent() -> int:
        items: list[JsonObject] = httpx.get(f"{shop}/notifications").json()["items"]
        return sum(item["message"] == "your tea is ready" for item in items)

    session = begin(api, 'send notification to customer 2 by email with message "your tea is ready"')
    eventually(lambda: len(of_type(api.history(session), "tool_start")) == 1, "the call")
    kill_session_hosts(platform)
    eventually(lambda: api.runs(session)[0]["status"] == "needs_manual_recovery", "the operator's question")
    run = api.runs(session)[0]
    pending = run["pending"]
    assert isinstance(pending, dict)
    assert pending["kind"] == "recovery"
    assert sent() <= 1
    with pytest.raises(Exception, match="retry opens at"):
        api.act(session, "resolve", runId=run["id"], resolution="retry")
    api.act(session, "resolve", runId=run["id"], resolution="mark_done", result={"id": 1})
    eventually(lambda: bool(of_type(api.history(session), "done")), "the end of the run")
    assert of_type(api.history(session), "done")[0]["status"] == "completed"
    assert sent() <= 1
    assert len(of_type(api.history(session), "tool_start")) == 1
