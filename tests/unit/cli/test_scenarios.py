"""`planvault scenarios` and `planvault feedback` against a scripted API."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import scenarios
from planvault.cli.client import ApiClient
from planvault.cli.main import app

HELD = Credentials(base_url="http://pv", org_id="o1", project_id="p1", project_key="sk_live_abcd", admin_token="t")
SCENARIO: JsonObject = {
    "id": "0190-scenario",
    "name": "Orders of a day",
    "priority": 60,
    "enabled": True,
    "successRate": 0.875,
    "projectId": None,
    "tools": [{"name": "list_orders", "offered": True}, {"name": "get_order", "offered": False}],
}

Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """What the API was asked; lists hold one scenario, or one run, and a deletion answers nothing."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.method == "DELETE":
            return httpx.Response(204)
        if request.url.path.endswith("/runs"):
            return httpx.Response(200, json={"items": [{"id": "r2"}, {"id": "r1"}] if "s1" in str(request.url) else []})
        return httpx.Response(200, json={"items": [SCENARIO]} if request.method == "GET" else SCENARIO)

    def client(held: Credentials, operator: str = "") -> ApiClient:
        return ApiClient(
            held.base_url,
            project_id=held.project_id,
            project_key=held.project_key,
            org_id=held.org_id,
            admin_token=held.admin_token,
            operator=operator,
            transport=httpx.MockTransport(answer),
        )

    monkeypatch.setattr(scenarios, "client", client)
    return requests


@pytest.fixture
def planvault(tmp_path: Path) -> Run:
    credentials.write(tmp_path / "credentials.json", HELD)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)])


def test_create_sends_samples_tools_and_whose_prompts_they_are(planvault: Run, asked: list[httpx.Request]) -> None:
    done = planvault("scenarios", "create", "Orders", "--sample", "my orders", "--tool", "list_orders", "--project")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "0190-scenario"
    assert json.loads(asked[0].content) == {
        "name": "Orders",
        "sampleQueries": ["my orders"],
        "tools": ["list_orders"],
        "systemInstruction": "",
        "priority": 50,
        "projectId": "p1",
    }


def test_list_shows_how_runs_went_and_which_tools_are_not_offered(planvault: Run, asked: list[httpx.Request]) -> None:
    done = planvault("scenarios", "list")
    assert "0190-scenario" in done.stdout
    assert "0.88" in done.stdout
    assert "list_orders, (get_order)" in done.stdout
    assert json.loads(planvault("scenarios", "list", "--json").stdout) == [SCENARIO]


def test_delete_names_the_scenario(planvault: Run, asked: list[httpx.Request]) -> None:
    assert planvault("scenarios", "delete", "0190-scenario").exit_code == 0
    assert asked[0].url.path == "/admin/v1/orgs/o1/scenarios/0190-scenario"


def test_feedback_is_for_the_newest_run_unless_one_is_named(planvault: Run, asked: list[httpx.Request]) -> None:
    done = planvault("feedback", "s1", "dislike", "--comment", "wrong tool", "--operator", "ada")
    assert done.exit_code == 0, done.output
    assert json.loads(asked[-1].content) == {"runId": "r2", "value": "dislike", "comment": "wrong tool"}
    assert asked[-1].headers["X-Operator-Id"] == "ada"
    planvault("feedback", "s1", "like", "--run", "r1")
    assert json.loads(asked[-1].content)["runId"] == "r1"


def test_a_session_without_runs_gets_no_feedback(planvault: Run, asked: list[httpx.Request]) -> None:
    done = planvault("feedback", "s9", "like")
    assert done.exit_code == 1
    assert "has no run yet" in done.output
