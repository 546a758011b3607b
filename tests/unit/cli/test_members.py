"""`planvault members` and `planvault keys` against a scripted API."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import keys, members
from planvault.cli.client import ApiClient
from planvault.cli.main import app

HELD = Credentials(base_url="http://pv", org_id="o1", project_id="p1", project_key="sk_live_abcd", admin_token="t")
ADA: JsonObject = {"userId": "u1", "email": "ada@example.com", "name": "Ada", "role": "ADMIN", "lastSeenAt": None}
INVITED: JsonObject = {
    "id": "i1",
    "email": "new@example.com",
    "role": "DEVELOPER",
    "invitedBy": "ada@example.com",
    "expiresAt": "2026-11-27T10:00:00Z",
}
KEY: JsonObject = {"id": "k1", "name": "ci", "preview": "abcd", "scopes": ["hrn:project:*"], "isPrimary": False}

Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.method == "DELETE":
            return httpx.Response(204)
        reads = request.method == "GET"
        if "keys" in request.url.path:
            return httpx.Response(200, json={"items": [KEY]} if reads else KEY | {"key": "sk_live_new"})
        if reads:
            return httpx.Response(200, json={"items": [INVITED if "invitations" in request.url.path else ADA]})
        return httpx.Response(200, json=INVITED | {"token": "pv_invite_x"} if request.method == "POST" else ADA)

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

    for module in (keys, members):
        monkeypatch.setattr(module, "client", client)
    return requests


@pytest.fixture
def run(tmp_path: Path, asked: list[httpx.Request]) -> Run:
    credentials.write(tmp_path / "credentials.json", HELD)
    return lambda *args: CliRunner().invoke(app, [*args, "--data-dir", str(tmp_path)])


def last(asked: list[httpx.Request]) -> tuple[str, str, JsonObject]:
    request = asked[-1]
    assert request.headers["Authorization"] == "Bearer t"
    return request.method, request.url.path, json.loads(request.content or b"{}")


def test_members_are_listed_for_people_and_for_programs(run: Run) -> None:
    shown = run("members", "list")
    assert shown.exit_code == 0, shown.output
    assert all(text in shown.output for text in ("u1", "ada@example.com", "ADMIN", "never"))
    assert json.loads(run("members", "list", "--json").stdout) == [ADA]
    assert "new@example.com" in run("members", "invitations").output


def test_an_invitations_token_is_all_that_stdout_has(run: Run, asked: list[httpx.Request]) -> None:
    made = run("members", "invite", "new@example.com", "--role", "developer")
    assert made.stdout == "pv_invite_x\n"
    body = {"email": "new@example.com", "role": "DEVELOPER"}
    assert last(asked) == ("POST", "/admin/v1/orgs/o1/invitations", body)


def test_a_role_is_changed_a_member_removed_an_invitation_revoked(run: Run, asked: list[httpx.Request]) -> None:
    assert "ADMIN" in run("members", "role", "u1", "ADMIN").output
    assert last(asked) == ("PUT", "/admin/v1/orgs/o1/members/u1", {"role": "ADMIN"})
    assert run("members", "remove", "u1").exit_code == 0
    assert last(asked) == ("DELETE", "/admin/v1/orgs/o1/members/u1", {})
    assert run("members", "uninvite", "i1").exit_code == 0
    assert last(asked)[:2] == ("DELETE", "/admin/v1/orgs/o1/invitations/i1")


def test_a_key_can_be_primary_or_expire_and_rotates_with_grace(run: Run, asked: list[httpx.Request]) -> None:
    run("keys", "create", "main", "--primary")
    assert last(asked)[2] == {"name": "main", "scopes": [], "primary": True}
    run("keys", "create", "ci")
    assert last(asked)[2] == {"name": "ci", "scopes": ["hrn:project:*"]}
    run("keys", "create", "ci", "--scope", "hrn:project:tools:read", "--expires-days", "30")
    assert last(asked)[2]["scopes"] == ["hrn:project:tools:read"]
    assert str(last(asked)[2]["expiresAt"]).endswith("+00:00")
    assert run("keys", "rotate", "k1", "--grace", "600").stdout == "sk_live_new\n"
    assert last(asked) == ("POST", "/admin/v1/orgs/o1/projects/p1/keys/k1/rotate", {"graceSeconds": 600})
