"""A platform whose session events are files: it runs, dies, goes down and comes up as any other."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cluster.ports import free_port
from cluster.topology import LOOPBACK
from models.base import JsonObject
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from tests.e2e.conftest import UP_TIMEOUT_S, PlanVault, Platform
from tests.e2e.slow_shop import slow_shop
from tests.e2e.test_recovery import begin, eventually, kill_session_hosts, of_type

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(500)]

LATENCY_S = 1.0
FILES = {"PLANVAULT_SESSION_STORE": "file"}


@contextmanager
def brought_up(planvault: PlanVault, data_dir: Path) -> Iterator[tuple[Platform, ApiClient]]:
    up = planvault(*_up(data_dir), timeout=UP_TIMEOUT_S, **FILES)
    assert up.returncode == 0, up.stderr
    platform = Platform(data_dir, json.loads(up.stdout))
    made = platform.credentials
    with ApiClient(
        platform.base_url,
        project_id=made["projectId"],
        project_key=made["projectKey"],
        org_id=made["orgId"],
        admin_token=made["adminToken"],
    ) as api:
        yield platform, api


def _up(data_dir: Path) -> tuple[str, ...]:
    return ("up", "--detach", "--json", "--data-dir", str(data_dir), "--port", str(free_port(LOOPBACK)))


def finished(api: ApiClient, session: str) -> list[JsonObject]:
    eventually(lambda: bool(of_type(api.history(session), "done")), "the end of the run")
    return api.history(session)


def test_a_platform_on_files_runs_survives_a_kill_and_comes_back_with_its_record(
    planvault: PlanVault, fresh_dir: Path
) -> None:
    here = ("--data-dir", str(fresh_dir))
    with slow_shop(LATENCY_S) as shop, brought_up(planvault, fresh_dir) as (platform, api):
        spec = httpx.get(f"{shop}/openapi.json").json()
        started = api.import_spec("slowshop", base_url=shop, spec=spec)
        await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)

        session = begin(api, "show customer 1 and then show customer 2 and then show customer 3")
        eventually(lambda: len(of_type(api.history(session), "tool_start")) >= 2, "the second call")
        kill_session_hosts(platform)
        history = finished(api, session)
        [done] = of_type(history, "done")
        assert done["status"] == "completed"
        assert "Grace Hopper" in str(done["reply"])
        streamed = []
        for event in api.events(session):
            streamed.append(event)
            if event.type == "done":
                break
        told = {event["seq"]: event["eventType"] for event in history}
        seen = [event.id for event in streamed if event.id]
        assert seen == [seq for seq in told if seq in set(seen)]  # in order, each once; prompts are not streamed
        assert {told[seq] for seq in seen} >= {"run_status", "tool_start", "tool_end", "done"}
        [run] = api.runs(session)
        assert run["status"] == "completed"

        label = fresh_dir / "events" / "store.json"
        assert label.exists()
        assert list(fresh_dir.glob(f"events/*/{session}/*.events"))
        assert stat.S_IMODE(label.parent.stat().st_mode) == 0o700
        assert "Grace" not in "".join(path.read_text("latin-1") for path in fresh_dir.glob("events/*/*/*.events"))
        part = json.loads(planvault("status", "--json", *here).stdout)["parts"]["sessionEvents"]
        assert (part["ready"], "files in" in part["detail"]) == (True, True)
        findings = json.loads(planvault("doctor", "--json", *here, **FILES).stdout)
        [finding] = [found for found in findings if found["subject"] == "session events"]
        assert finding["verdict"] == "ok"
        assert planvault("down", *here).returncode == 0

    refused = planvault(*_up(fresh_dir), timeout=UP_TIMEOUT_S)
    assert refused.returncode != 0
    assert "set PLANVAULT_SESSION_STORE=file" in refused.stderr

    with brought_up(planvault, fresh_dir) as (_, api):
        assert api.history(session) == history
        api.send_message(session, "show customer 4")
        eventually(lambda: len(of_type(api.history(session), "done")) == 2, "the end of the second run")
        assert api.history(session)[: len(history)] == history
