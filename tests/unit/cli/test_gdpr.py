"""`planvault gdpr` against a scripted API."""

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import export_stream, gdpr
from planvault.cli.client import ApiClient
from planvault.cli.main import app

HELD = Credentials(base_url="http://pv", org_id="o1", project_id="p1", project_key="sk_live_abcd", admin_token="t")
FILE = b"PK a zip of everything"
REQUEST: JsonObject = {
    "id": "r1",
    "target": "external_user",
    "projectId": None,
    "subjects": ["ab" * 32],
    "state": "completed",
    "stage": "traces_again",
    "counts": {"sessions": 2, "events": 40},
    "error": None,
    "size": len(FILE),
    "sha256": hashlib.sha256(FILE).hexdigest(),
}

Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    requests: list[httpx.Request] = []
    states = iter(["queued", "running"])

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.url.path.endswith("/file"):
            return httpx.Response(200, content=FILE)
        if request.method == "GET" and request.url.path.endswith("s"):
            return httpx.Response(200, json={"items": [REQUEST], "nextCursor": None})
        if request.method == "GET":
            return httpx.Response(200, json=REQUEST | {"state": next(states, "completed")})
        return httpx.Response(202, json=REQUEST | {"state": "queued"})

    transport = httpx.MockTransport(answer)

    def client(held: Credentials, operator: str = "") -> ApiClient:
        return ApiClient(
            held.base_url,
            project_id=held.project_id,
            project_key=held.project_key,
            org_id=held.org_id,
            admin_token=held.admin_token,
            transport=transport,
        )

    fetch = export_stream.fetch
    monkeypatch.setattr(gdpr, "client", client)
    monkeypatch.setattr(gdpr, "_POLL_S", 0.0)
    monkeypatch.setattr(export_stream, "fetch", lambda *args: fetch(*args, transport=transport))
    return requests


@pytest.fixture
def run(tmp_path: Path, asked: list[httpx.Request]) -> Run:
    credentials.write(tmp_path / "credentials.json", HELD)
    return lambda *args: CliRunner().invoke(app, ["gdpr", *args, "--data-dir", str(tmp_path)])


def test_an_export_is_awaited_fetched_and_readable_by_its_owner_alone(
    run: Run, asked: list[httpx.Request], tmp_path: Path
) -> None:
    out = tmp_path / "ada.zip"
    ended = run("export", "--user", "ada", "--out", str(out))
    assert ended.exit_code == 0, ended.output
    assert json.loads(asked[0].content) == {"target": "external_user", "externalUserId": "ada"}
    assert out.read_bytes() == FILE
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = run("export", "--user", "ada", "--out", str(out))
    assert again.exit_code == 1
    assert out.read_bytes() == FILE, "a file that is there stays as it is"


def test_a_file_that_came_broken_is_removed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REQUEST, "sha256", "00" * 32)
    out = tmp_path / "ada.zip"
    assert run("export", "--user", "ada", "--out", str(out)).exit_code == 1
    assert not out.exists()


def test_an_erasure_asks_before_it_is_asked_for(run: Run, asked: list[httpx.Request]) -> None:
    assert run("erase", "--user", "ada").exit_code == 1
    assert asked == []
    ended = run("erase", "--user", "ada", "--yes")
    assert ended.exit_code == 0, ended.output
    assert "completed" in ended.stdout
    assert "sessions 2" in ended.stdout


@pytest.mark.parametrize("args", [(), ("--user", "a", "--project", "p")])
def test_it_has_to_be_clear_of_whom(run: Run, asked: list[httpx.Request], args: tuple[str, ...]) -> None:
    ended = run("erase", "--yes", *args)
    assert ended.exit_code == 1
    assert "exactly one" in ended.output
    assert asked == []


def test_the_status_names_people_by_pseudonym(run: Run) -> None:
    shown = json.loads(run("status", "--json").stdout)
    assert {each["kind"] for each in shown} == {"export", "erasure"}
    listed = run("status").stdout
    assert "abababababab…" in listed
    assert "traces" not in listed  # what has ended is under way nowhere
