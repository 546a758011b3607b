"""`planvault jobs` against a scripted API."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import jobs
from planvault.cli.client import ApiClient
from planvault.cli.main import app

HELD = Credentials(base_url="http://pv", org_id="o1", project_id="p1", project_key="sk_live_abcd", admin_token="t")
JOBS = "/api/v1/projects/p1/scheduled-jobs"
JOB: JsonObject = {
    "id": "0190-job",
    "status": "scheduled",
    "runAt": "2027-03-01T08:00:00+00:00",
    "recurrence": {
        "frequency": "weekly",
        "timezone": "Europe/Berlin",
        "hour": 9,
        "minute": 5,
        "weekdays": ["monday", "friday"],
    },
    "prompt": "show   the orders\nof today",
    "lastOccurrence": {"runStatus": "completed"},
    "lastError": None,
}

Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """What the API was asked; it answers every call with one job, lists with a list of it."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        many = request.method == "GET" and request.url.path.endswith(("scheduled-jobs", "occurrences"))
        return httpx.Response(200, json={"items": [JOB]} if many else JOB)

    def client(held: Credentials) -> ApiClient:
        return ApiClient(
            held.base_url,
            project_id=held.project_id,
            project_key=held.project_key,
            transport=httpx.MockTransport(answer),
        )

    monkeypatch.setattr(jobs, "client", client)
    return requests


@pytest.fixture
def planvault(tmp_path: Path) -> Run:
    credentials.write(tmp_path / "credentials.json", HELD)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["--in", "90"], {"delaySeconds": 90.0}),
        (["--in", "1.5h"], {"delaySeconds": 5_400.0}),
        (["--at", "2027-03-01T09:00:00Z"], {"runAt": "2027-03-01T09:00:00Z"}),
        (
            ["--every", "weekly", "--time", "9:05", "--on", "monday", "--on", "friday", "--zone", "Europe/Berlin"],
            {"recurrence": JOB["recurrence"]},
        ),
        (
            ["--every", "hourly", "--minute", "30"],
            {"recurrence": {"frequency": "hourly", "timezone": "UTC", "minute": 30, "weekdays": []}},
        ),
        (
            ["--in", "1", "--session", "s1", "--auto-approve", "--name", "n"],
            {
                "delaySeconds": 1.0,
                "target": "resume_session",
                "sessionId": "s1",
                "settings": {"autoApprovePlan": True},
                "name": "n",
            },
        ),
    ],
)
def test_create_says_when_in_the_platforms_words(
    planvault: Run, asked: list[httpx.Request], arguments: list[str], body: JsonObject
) -> None:
    done = planvault("jobs", "create", "tell me", *arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "0190-job"
    assert json.loads(asked[0].content) == {"prompt": "tell me", "name": "", **body}


@pytest.mark.parametrize("arguments", [["--in", "soon"], ["--every", "daily", "--time", "9"]])
def test_what_nobody_can_read_is_refused_before_anything_is_asked(
    planvault: Run, asked: list[httpx.Request], arguments: list[str]
) -> None:
    assert planvault("jobs", "create", "tell me", *arguments).exit_code == 1
    assert asked == []


def test_list_shows_the_rule_and_how_the_last_run_went(planvault: Run, asked: list[httpx.Request]) -> None:
    shown = planvault("jobs", "list", "--status", "failed").stdout
    assert dict(asked[0].url.params) == {"limit": "50", "status": "failed"}
    for part in ("0190-job", "weekly monday friday 09:05 Europe/Berlin", "completed", "show the orders of today"):
        assert part in shown
    assert json.loads(planvault("jobs", "list", "--json").stdout) == [JOB]


def test_ids_and_states_are_shown_whole_however_long_the_error_is(
    planvault: Run, monkeypatch: pytest.MonkeyPatch, asked: list[httpx.Request]
) -> None:
    job_id = "01a1f83f-cfa6-71ce-9b39-f65121196b39"
    error = "CONFLICT: The session is closed. Open a new one with POST /sessions. " * 20
    monkeypatch.setitem(JOB, "id", job_id)
    monkeypatch.setitem(JOB, "lastError", error)
    monkeypatch.setitem(JOB, "prompt", "a word " * 50)
    shown = planvault("jobs", "list").stdout
    for part in (job_id, "scheduled", "2027-03-01 08:00:00", "CONFLICT: The session is closed."):
        assert part in shown
    assert max(map(len, shown.splitlines())) < 300


def test_get_prints_the_job_with_its_occurrences(planvault: Run, asked: list[httpx.Request]) -> None:
    assert json.loads(planvault("jobs", "get", "0190-job").stdout) == {**JOB, "occurrences": [JOB]}


def test_cancel_asks_once(planvault: Run, asked: list[httpx.Request]) -> None:
    assert planvault("jobs", "cancel", "0190-job").exit_code == 0
    assert [(request.method, request.url.path) for request in asked] == [("POST", f"{JOBS}/0190-job/cancel")]
