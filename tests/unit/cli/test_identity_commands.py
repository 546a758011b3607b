"""`planvault tokens` and `planvault orgs` against scripted APIs."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import audit_stream, export_stream
from planvault.cli.main import app
from planvault.errors import PlanVaultError

HELD = Credentials(
    base_url="http://pv",
    org_id="o1",
    project_id="p1",
    project_key="sk_live_abcd",
    admin_token="pv_admin_held",
    superadmin_url="http://operators",
)
TOKEN: JsonObject = {
    "id": "t1",
    "name": "ci",
    "role": "ADMIN",
    "preview": "wxyz",
    "createdBy": "ada@example.com",
    "expiresAt": "2026-11-27T10:00:00Z",
    "makerIsGone": True,
}
LEFT: JsonObject = {
    "keys": [
        {"id": "k1", "name": "[bold]deploy", "oldTextOnly": False},
        {"id": "k2", "name": "x", "oldTextOnly": True},
    ],
    "serviceTokens": [],
}
ORG: JsonObject = {"id": "o7", "name": "Acme", "owners": 0, "members": 0, "projects": 1, "purgeAfter": None}
INVITED: JsonObject = {"email": "mia@acme.example", "expiresAt": "2026-11-27T10:00:00Z", "token": "pv_invite_x"}

Run = Callable[..., Result]


def answer(request: httpx.Request) -> httpx.Response:
    path, reads = request.url.path, request.method == "GET"
    if "service-tokens" in path:
        if request.method == "DELETE":
            return httpx.Response(200, json=LEFT | {"ended": request.url.params.get("withKeys") == "true"})
        return httpx.Response(200, json={"items": [TOKEN]} if reads else TOKEN | {"token": "st_live_new"})
    if reads:
        first = "cursor" not in request.url.params
        return httpx.Response(200, json={"items": [ORG], "nextCursor": "more" if first else None})
    if path.endswith("/owner-invitation"):
        return httpx.Response(201, json=INVITED)
    if request.method == "DELETE":
        return httpx.Response(202, json={"purgeAfter": "2026-11-27T10:00:00Z"})
    made = {"organization": ORG, "invitation": INVITED if b"ownerEmail" in request.content else None}
    return httpx.Response(200, json=ORG if path.endswith("/restore") else made)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Every request, to either API; none goes over a network."""
    requests: list[httpx.Request] = []
    real = httpx.Client

    def client(**given: object) -> httpx.Client:
        def note(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return answer(request)

        return real(**{**given, "transport": httpx.MockTransport(note)})  # type: ignore[arg-type]

    monkeypatch.setattr(httpx, "Client", client)
    monkeypatch.delenv("PLANVAULT_TOKEN", raising=False)
    return requests


@pytest.fixture
def run(tmp_path: Path, asked: list[httpx.Request]) -> Run:
    credentials.write(tmp_path / "credentials.json", HELD)
    return lambda *args: CliRunner().invoke(app, [*args, "--data-dir", str(tmp_path)])


def last(asked: list[httpx.Request]) -> tuple[str, str, object]:
    request = asked[-1]
    return request.method, str(request.url), json.loads(request.content) if request.content else None


TOKENS = "http://pv/admin/v1/orgs/o1/service-tokens"
ORGS = "http://operators/superadmin/v1/orgs"


def test_a_service_token_is_printed_once_and_nothing_else_on_stdout(run: Run, asked: list[httpx.Request]) -> None:
    made = run("tokens", "create", "ci", "--role", "admin", "--expires-days", "30")
    assert made.exit_code == 0, made.output
    assert made.stdout.strip() == "st_live_new"
    assert last(asked) == ("POST", TOKENS, {"name": "ci", "role": "ADMIN", "expiresInDays": 30})
    rotated = run("tokens", "rotate", "t1", "--grace", "60")
    assert rotated.stdout.strip() == "st_live_new"
    assert last(asked) == ("POST", f"{TOKENS}/t1/rotate", {"expiresInDays": 90, "graceSeconds": 60})
    assert run("tokens", "revoke", "t1").exit_code == 0
    assert last(asked) == ("DELETE", f"{TOKENS}/t1", None)


def test_tokens_are_listed_for_people_and_for_programs(run: Run) -> None:
    listed = run("tokens", "list").stdout
    assert "…wxyz" in listed
    assert "2026-11-27 10:00, its maker is gone" in listed
    assert json.loads(run("tokens", "list", "--json").stdout) == [TOKEN]


@pytest.mark.parametrize(("asking", "end"), [([], "still opens"), (["--with-keys"], "ended")])
def test_revoking_a_token_tells_what_it_leaves_behind(run: Run, asking: list[str], end: str) -> None:
    lines = run("tokens", "revoke", "t1", *asking).stdout.splitlines()
    assert lines[:3] == [
        "Service token t1 is revoked.",
        f"Key k1 ([bold]deploy) {end}.",
        f"Key k2 (x) {end} (its text before the last rotation).",
    ]
    assert ("--with-keys" in "".join(lines[3:])) is (not asking)


def test_a_new_organisations_owner_is_invited_and_the_invitation_printed_once(
    run: Run, asked: list[httpx.Request]
) -> None:
    made = run("orgs", "create", "Acme", "--owner", "mia@acme.example")
    assert made.exit_code == 0, made.output
    assert made.stdout.strip() == "pv_invite_x"
    assert last(asked) == ("POST", ORGS, {"name": "Acme", "ownerEmail": "mia@acme.example"})
    assert run("orgs", "create", "Acme").stdout.strip() == ""
    assert run("orgs", "invite-owner", "o7", "mia@acme.example").stdout.strip() == "pv_invite_x"
    assert last(asked)[1] == f"{ORGS}/o7/owner-invitation"


def test_every_page_of_organisations_is_listed(run: Run) -> None:
    assert json.loads(run("orgs", "list", "--json").stdout) == [ORG, ORG]
    assert "Acme" in run("orgs", "list").stdout


def test_deleting_needs_the_organisations_name(run: Run, asked: list[httpx.Request]) -> None:
    assert run("orgs", "delete", "o7").exit_code == 2
    assert asked == []
    assert "orgs restore o7" in run("orgs", "delete", "o7", "--confirm", "Acme").stdout.replace("\n", " ")
    assert last(asked) == ("DELETE", f"{ORGS}/o7?confirm=Acme", None)
    assert run("orgs", "restore", "o7").exit_code == 0
    assert last(asked) == ("POST", f"{ORGS}/o7/restore", None)


def test_where_the_operators_api_is_not_served_it_is_said(run: Run, tmp_path: Path) -> None:
    credentials.write(tmp_path / "credentials.json", HELD.model_copy(update={"superadmin_url": ""}))
    refused = run("orgs", "list")
    assert refused.exit_code == 1
    assert "PLANVAULT_SUPERADMIN_PORT" in refused.stderr


@pytest.mark.parametrize("command", [("tokens", "list"), ("orgs", "list")])
def test_a_token_of_the_environment_goes_before_the_static_one(
    run: Run, asked: list[httpx.Request], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    run(*command)
    assert asked[-1].headers["Authorization"] == "Bearer pv_admin_held"
    monkeypatch.setenv("PLANVAULT_TOKEN", "eyJ.of.mia")
    run(*command)
    assert asked[-1].headers["Authorization"] == "Bearer eyJ.of.mia"


@pytest.mark.parametrize(
    "download",
    [
        pytest.param(lambda folder: export_stream.fetch(HELD, "e1", folder / "export.zip", "00"), id="gdpr export"),
        pytest.param(lambda _: list(audit_stream.download(HELD)), id="audit export"),
    ],
)
def test_a_download_takes_the_token_of_the_environment_as_well(
    asked: list[httpx.Request], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, download: Callable[[Path], object]
) -> None:
    monkeypatch.setenv("PLANVAULT_TOKEN", "eyJ.of.mia")
    with suppress(PlanVaultError):  # what is scripted here answers no file
        download(tmp_path)
    assert asked[-1].headers["Authorization"] == "Bearer eyJ.of.mia"
