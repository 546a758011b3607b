"""`planvault tools` against a scripted API."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import tools
from planvault.cli.client import ApiClient
from planvault.cli.main import app

HELD = Credentials(base_url="http://pv", org_id="o1", project_id="p1", project_key="sk_live_abcd", admin_token="t")
TOOL: JsonObject = {
    "name": "get_order",
    "group": "shop/orders",
    "risk": "read",
    "approvalPolicy": "never",
    "summary": "One   order\nby [id]",
}
SELECTION: JsonObject = {
    "tier": "hierarchical_rag",
    "tierReason": "900 tools: above fullMax, which is 200",
    "catalogSize": 900,
    "timingsMs": {"facts": 0.7, "total": 6.25},
    "parts": ["find it and pay it", "find it", "pay it"],
    "candidates": [
        {"name": "get_order", "group": "shop", "score": 2.5, "scores": {"dense": 2.0, "lexical": 0.5, "usage": 0.0}},
        {"name": "pay[order]", "group": "shop", "score": 1.5, "scores": {"dense": 1.5}, "excluded": "group_cap"},
    ],
    "shortlist": ["get_order"],
    "groups": [],
    "scenarios": [{"name": "Paying", "similarity": 0.81, "contribution": 0.4, "chosen": True}],
    "instruction": "",
    "degraded": ["The catalog has no groups yet: all of it was searched."],
}

Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """What the API was asked."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"items": [TOOL]} if request.method == "GET" else SELECTION)

    def client(held: Credentials) -> ApiClient:
        transport = httpx.MockTransport(answer)
        return ApiClient(held.base_url, project_id=held.project_id, project_key=held.project_key, transport=transport)

    monkeypatch.setattr(tools, "client", client)
    return requests


@pytest.fixture
def planvault(tmp_path: Path, asked: list[httpx.Request]) -> Run:
    credentials.write(tmp_path / "credentials.json", HELD)
    return lambda *arguments: CliRunner().invoke(app, ["tools", *arguments, "--data-dir", str(tmp_path)])


def test_the_projects_tools_are_listed_a_line_each(planvault: Run) -> None:
    result = planvault("list")
    assert result.exit_code == 0, result.output
    assert "get_order" in result.output
    assert "One order by [id]" in result.output


def test_a_dry_run_shows_the_tier_the_clauses_and_what_each_score_is_made_of(planvault: Run) -> None:
    result = planvault("select", "find it and pay it")
    assert result.exit_code == 0, result.output
    first, *lines = result.output.splitlines()
    assert first == "hierarchical_rag: 900 tools: above fullMax, which is 200. 1 tools in the shortlist."
    assert "! The catalog has no groups yet: all of it was searched." in lines
    assert any("find it │ pay it" in line for line in lines)
    assert any("Paying" in line and "0.810" in line for line in lines)
    [heading] = [line for line in lines if "left out" in line]
    assert heading.split() == ["tool", "group", "score", "dense", "lexical", "left", "out"], "no column for nothing"
    rows = [line.split() for line in lines if "shop" in line]
    assert rows == [
        ["1", "get_order", "shop", "2.500", "2.000", "0.500"],
        ["pay[order]", "shop", "1.500", "1.500", "group_cap"],
    ]


def test_what_is_asked_for_is_sent_and_nothing_else(planvault: Run, asked: list[httpx.Request]) -> None:
    planvault("select", "find it")
    planvault("select", "find it", "--strategy", "full_rag", "--max-tools", "5", "--candidates", "7")
    assert [json.loads(request.content) for request in asked] == [
        {"query": "find it", "candidates": 50},
        {"query": "find it", "candidates": 7, "strategy": "full_rag", "maxTools": 5},
    ]
    assert asked[0].url.path == "/api/v1/projects/p1/tools/test-selection"


def test_json_is_the_answer_as_it_came(planvault: Run) -> None:
    assert json.loads(planvault("select", "find it", "--json").output) == SELECTION
    assert json.loads(planvault("list", "--json").output) == [TOOL]
