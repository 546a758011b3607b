"""`planvault down` in the middle of a call that must not be made twice: the call ends first."""

import json
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cluster.ports import free_port
from cluster.topology import LOOPBACK
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from tests.e2e.conftest import UP_TIMEOUT_S, PlanVault
from tests.e2e.slow_shop import slow_shop
from tests.e2e.test_recovery import begin, eventually, of_type

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(400)]

LATENCY_S = 4.0  # longer than a drain takes that has nothing to wait for


def client(planvault: PlanVault, data_dir: Path) -> ApiClient:
    up = planvault(
        *("up", "--detach", "--json", "--data-dir", str(data_dir), "--port", str(free_port(LOOPBACK))),
        timeout=UP_TIMEOUT_S,
    )
    assert up.returncode == 0, up.stderr
    made = json.loads(up.stdout)
    return ApiClient(
        made["baseUrl"],
        project_id=made["projectId"],
        project_key=made["projectKey"],
        org_id=made["orgId"],
        admin_token=made["adminToken"],
    )


def test_a_call_on_the_wire_has_its_result_recorded_before_the_platform_ends(
    planvault: PlanVault, fresh_dir: Path
) -> None:
    with slow_shop(LATENCY_S) as shop:
        with client(planvault, fresh_dir) as api:
            spec = httpx.get(f"{shop}/openapi.json").json()
            started = api.import_spec("slowshop", base_url=shop, spec=spec)
            await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
            session = begin(api, 'send notification to customer 2 by email with message "going down"')
            eventually(lambda: len(of_type(api.history(session), "tool_start")) == 1, "the call")
            down = planvault("down", "--data-dir", str(fresh_dir))
            assert down.returncode == 0, down.stderr
        with client(planvault, fresh_dir) as api:
            eventually(lambda: bool(of_type(api.history(session), "done")), "the end of the run")
            history = api.history(session)
            assert of_type(history, "done")[0]["status"] == "completed", history
            assert len(of_type(history, "tool_start")) == 1
        items = httpx.get(f"{shop}/notifications").json()["items"]
        assert [item["message"] for item in items].count("going down") == 1
