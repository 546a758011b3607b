"""Commands that speak to a running platform, against a scripted API."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject, JsonValue
from planvault.cli import catalog, chat, keys, runs
from planvault.cli.catalog import _alias
from planvault.cli.client import ApiClient
from planvault.cli.main import app

HELD = Credentials(base_url="http://pv", org_id="o1", project_id="p1", project_key="sk_live_abcd", admin_token="t")
Answer = JsonObject | tuple[int, JsonObject]


class Api:
    """Answers by method and path; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, JsonObject]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        call = f"{request.method} {request.url.path}"
        self.asked.append((call, json.loads(request.content or b"{}")))
        answer = self.answers.get(call, (404, {"type": "urn:planvault:problem:NOT_FOUND", "detail": call}))
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    scripted = Api()

    def client(held: Credentials) -> ApiClient:
        return ApiClient(
            held.base_url,
            project_id=held.project_id,
            project_key=held.project_key,
            org_id=held.org_id,
            admin_token=held.admin_token,
            transport=httpx.MockTransport(scripted),
        )

    for module in (catalog, chat, keys, runs):
        monkeypatch.setattr(module, "client", client)
    return scripted


@pytest.fixture
def planvault(tmp_path: Path) -> Callable[..., Result]:
    credentials.write(tmp_path / "credentials.json", HELD)

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(
            app, [*arguments], input=stdin, env={"PLANVAULT_DATA_DIR": str(tmp_path), "COLUMNS": "200"}
        )

    return run


KEYS = "/admin/v1/orgs/o1/projects/p1/keys"


def test_without_credentials_the_way_to_them_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "--data-dir", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "planvault up" in result.stderr


def test_listing_keys_shows_what_is_known_of_them(api: Api, planvault: Callable[..., Result]) -> None:
    key: JsonObject = {"id": "k1", "name": "primary", "preview": "abcd", "scopes": ["hrn:project:*"], "isPrimary": True}
    api.answers[f"GET {KEYS}"] = {"items": [key]}
    result = planvault("keys", "list")
    assert result.exit_code == 0
    assert "…abcd" in result.stdout
    assert "primary" in result.stdout


def test_a_key_that_opens_without_its_maker_is_told_apart_whether_or_not_it_has_an_end(
    api: Api, planvault: Callable[..., Result]
) -> None:
    gone: JsonObject = {"makerIsGone": True, "scopes": []}
    api.answers[f"GET {KEYS}"] = {
        "items": [
            gone | {"name": "lasting"},
            gone | {"name": "ending", "expiresAt": "2999-01-01T00:00:00Z"},
            gone | {"name": "over", "expiresAt": "2020-01-01T00:00:00Z"},
            gone | {"name": "ended", "revokedAt": "2020-01-01T00:00:00Z"},
        ]
    }
    lines = planvault("keys", "list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines if "its maker is gone" in line] == ["lasting", "ending"]
    assert "until 2999-01-01, its maker is gone" in lines[1]


def test_a_new_key_alone_is_on_stdout(api: Api, planvault: Callable[..., Result]) -> None:
    api.answers[f"POST {KEYS}"] = (201, {"id": "k2", "name": "ci", "key": "sk_live_new"})
    result = planvault("keys", "create", "ci", "--scope", "hrn:project:tools:read")
    assert result.stdout == "sk_live_new\n"
    assert api.asked[-1][1] == {"name": "ci", "scopes": ["hrn:project:tools:read"]}


def test_rotating_the_key_that_this_machine_uses_updates_its_credentials(
    api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    api.answers[f"GET {KEYS}"] = {"items": [{"id": "k1", "preview": "abcd"}, {"id": "k2", "preview": "wxyz"}]}
    api.answers[f"POST {KEYS}/k1/rotate"] = {"id": "k1", "name": "primary", "key": "sk_live_next"}
    assert planvault("keys", "rotate", "k1").exit_code == 0
    assert credentials.read(tmp_path / "credentials.json") == HELD.model_copy(update={"project_key": "sk_live_next"})


def test_rotating_another_key_leaves_the_credentials_alone(
    api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    api.answers[f"GET {KEYS}"] = {"items": [{"id": "k1", "preview": "abcd"}, {"id": "k2", "preview": "wxyz"}]}
    api.answers[f"POST {KEYS}/k2/rotate"] = {"id": "k2", "name": "ci", "key": "sk_live_next"}
    assert planvault("keys", "rotate", "k2").exit_code == 0
    assert credentials.read(tmp_path / "credentials.json") == HELD


def test_revoking_a_key_that_is_not_there_says_so(api: Api, planvault: Callable[..., Result]) -> None:
    result = planvault("keys", "revoke", "k9")
    assert result.exit_code == 1
    assert "NOT_FOUND" in result.stderr


def test_runs_of_the_newest_sessions_are_listed(api: Api, planvault: Callable[..., Result]) -> None:
    api.answers["GET /api/v1/projects/p1/sessions"] = {"items": [{"id": "s1"}]}
    run: JsonObject = {"id": "r1", "status": "completed", "durationMs": 12.4, "reason": None}
    api.answers["GET /api/v1/projects/p1/sessions/s1/runs"] = {"items": [run]}
    listed = planvault("runs", "--json")
    assert json.loads(listed.stdout) == [{"sessionId": "s1", **run}]


def test_a_waiting_run_says_what_it_waits_for(api: Api, planvault: Callable[..., Result]) -> None:
    pending: JsonObject = {"kind": "recovery", "tool": "bookParcel", "nodeId": "n1"}
    run: JsonObject = {"id": "r1", "status": "needs_manual_recovery", "isOpen": True, "pending": pending}
    api.answers["GET /api/v1/projects/p1/sessions/s1/runs"] = {"items": [run]}
    assert "recovery: bookParcel (n1)" in planvault("runs", "s1").stdout


TOOLS = "/admin/v1/orgs/o1/tools"
SHOP: JsonObject = {"toolId": "i1", "name": "shop", "baseUrl": "http://shop", "version": 3}


def _import_answers(api: Api, status: str, error: str | None = None) -> None:
    api.answers[f"GET {TOOLS}"] = {"items": []}
    api.answers[f"POST {TOOLS}"] = (201, {"toolId": "i1", "importId": "m1"})
    _import_ends(
        api,
        status,
        {"operation": "GET /pets", "outcome": "created", "tool": "listPets", "problems": []},
        {"operation": "POST /pets", "outcome": "skipped", "tool": None, "problems": ["body has no schema"]},
        error=error,
    )


def _import_ends(api: Api, status: str, *report: JsonObject, error: str | None = None) -> None:
    answer: JsonObject = {"status": status, "total": 1, "done": 1, "report": list(report), "notes": [], "error": error}
    api.answers["GET /admin/v1/orgs/o1/imports/m1"] = answer


def _sent(api: Api, call: str) -> JsonObject:
    return next(body for asked, body in api.asked if asked == call)


def test_importing_a_file_sends_it_and_shows_each_operation(
    api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    spec = tmp_path / "Pet Store.yaml"
    spec.write_text("openapi: 3.1.0")
    _import_answers(api, "completed")
    result = planvault("import", str(spec), "--base-url", "http://pets")
    assert result.exit_code == 0, result.stderr
    sent = _sent(api, f"POST {TOOLS}")
    assert (sent["name"], sent["baseUrl"], sent["openApiSpec"]) == ("pet-store", "http://pets", "openapi: 3.1.0")
    assert "body has no schema" in result.stdout
    assert "1 tools from 2 operations (1 created, 1 skipped)" in result.stdout


def test_importing_a_url_lets_the_platform_fetch_it(api: Api, planvault: Callable[..., Result]) -> None:
    _import_answers(api, "completed")
    planvault("import", "https://pets.example/openapi.json", "--base-url", "http://pets", "--name", "pets")
    assert _sent(api, f"POST {TOOLS}")["specUrl"] == "https://pets.example/openapi.json"


def test_a_name_that_exists_gets_its_document_anew_and_says_what_changed(
    api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "shop.json").write_text("{}")
    api.answers[f"GET {TOOLS}"] = {"items": [{"toolId": "i0", "name": "other"}, SHOP]}
    api.answers[f"PUT {TOOLS}/i1"] = {"toolId": "i1", "importId": "m1"}
    _import_ends(
        api,
        "completed",
        {"operation": "GET /orders", "outcome": "unchanged", "tool": "listOrders", "problems": []},
        {"operation": "POST /orders", "outcome": "updated", "tool": "createOrder", "problems": []},
        {"operation": "GET /old", "outcome": "removed", "tool": "old", "problems": []},
    )

    result = planvault("import", str(tmp_path / "shop.json"))

    assert result.exit_code == 0, result.stderr
    assert _sent(api, f"PUT {TOOLS}/i1") == {"name": "shop", "openApiSpec": "{}"}
    assert not [call for call, _ in api.asked if call.startswith("POST")]
    assert "shop exists (version 3)" in result.stdout
    assert "2 tools from 2 operations (1 unchanged, 1 updated, 1 removed)" in result.stdout


@pytest.mark.parametrize(("address", "said"), [("http://shop", "Calls go to http://shop"), ("", "--base-url")])
def test_without_a_base_url_the_platform_derives_it_and_the_result_is_told(
    address: str, said: str, api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "shop.json").write_text("{}")
    api.answers[f"GET {TOOLS}"] = {"items": [SHOP | {"baseUrl": address}]}
    api.answers[f"PUT {TOOLS}/i1"] = {"toolId": "i1", "importId": "m1"}
    _import_ends(api, "completed")
    result = planvault("import", str(tmp_path / "shop.json"))
    assert result.exit_code == 0, result.stderr
    assert said in result.stdout


def test_a_first_import_without_a_base_url_sends_none(
    api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "pets.json").write_text("{}")
    _import_answers(api, "completed")
    assert planvault("import", str(tmp_path / "pets.json")).exit_code == 0
    assert "baseUrl" not in _sent(api, f"POST {TOOLS}")


@pytest.mark.parametrize(
    "arguments",
    [["ftp://pets.example/openapi.json"], ["FILE:///pets.yaml"], ["https://pets.example", "--base-url", "ftp://pets"]],
)
def test_addresses_of_other_kinds_are_refused_with_the_kinds_there_are(
    arguments: list[str], api: Api, planvault: Callable[..., Result]
) -> None:
    result = planvault("import", *arguments)
    assert result.exit_code == 1
    assert "http:// or https://" in result.stderr
    assert api.asked == []


def test_every_fault_of_a_refused_request_is_shown(api: Api, planvault: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "pets.json").write_text("{}")
    errors: list[JsonValue] = [
        {"pointer": "/name", "detail": "not an alias"},
        {"pointer": "/baseUrl", "detail": "not an origin"},
        {"pointer": "", "detail": "too much of it"},
    ]
    api.answers[f"GET {TOOLS}"] = {"items": []}
    api.answers[f"POST {TOOLS}"] = (422, {"type": "urn:planvault:problem:VALIDATION_FAILED", "errors": errors})
    result = planvault("import", str(tmp_path / "pets.json"), "--base-url", "http://pets")
    assert result.exit_code == 1
    shown = [line.strip() for line in result.stderr.splitlines()]
    assert shown[1:] == ["/name: not an alias", "/baseUrl: not an origin", "too much of it"]


def test_a_failed_import_is_a_failure(api: Api, planvault: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    _import_answers(api, "failed", "not an OpenAPI document")
    result = planvault("import", str(tmp_path / "spec.json"), "--base-url", "http://pets")
    assert result.exit_code == 1
    assert "not an OpenAPI document" in result.stderr


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), (b"\xff\xfe\x00", "UTF-8")])
def test_a_file_that_is_not_there_or_no_text_is_refused(
    content: bytes | None, said: str, api: Api, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "spec").write_bytes(content)
    result = planvault("import", str(tmp_path / "spec"), "--base-url", "http://pets")
    assert result.exit_code == 1
    assert said in result.stderr
    assert api.asked == []


@pytest.mark.parametrize(
    ("source", "alias"),
    [
        ("./specs/Pet Store.v2.yaml", "pet-store"),
        ("https://api.example/v1/openapi.json?key=1", "openapi"),
        ("42.json", "service"),
        ("/tmp/über_shop.yml", "ber_shop"),
    ],
)
def test_an_alias_is_made_from_the_sources_name(source: str, alias: str) -> None:
    assert _alias(source) == alias


def test_logs_of_a_part_that_no_file_is_named_after_say_so(
    planvault: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "watchdog.log"
    file.write_text("watching\n")
    monkeypatch.setattr("cluster.logs.log_files", lambda _: [file])
    assert "No log file's name contains 'nothing'" in planvault("logs", "nothing").stdout
    assert "watching" in planvault("logs", "watchdog").stdout
