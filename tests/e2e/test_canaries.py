"""No secret leaves but in the call it is for (invariant 3): canaries in every secret place, every way out searched.

The service that gets them gives them back in its answers; the model's first plan is faulty and goes back for repair; a
run fails, a run is refused by the model, requests are malformed. Then everything that anybody could read is searched.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from cluster import postgres, state
from cluster.data_dir import existing
from cluster.ports import free_port
from cluster.server_user import server_user
from cluster.topology import LOOPBACK
from models.base import JsonObject
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from planvault.llm.scripted import Refusal, ScriptedServer
from tests.e2e.canaries import Canary, Search, found_credential, hidden_in_every_way, planted
from tests.e2e.conftest import UP_TIMEOUT_S, PlanVault, Platform
from tests.e2e.leaky_service import LeakyService, leaky_service

SECRETS = ("organisation", "project", "session", "auth", "overridden_org", "overridden_project", "overriding_session")
FAULTY = '<script>\nx = echo_itt(a="{{secrets.SESSION}}")\nreply(x)\n</script>'
PLAN = """<script>
echoed = echo_it(a="{{secrets.ORGANISATION}}", b="Bearer {{secrets.PROJECT}} of {{secrets.SESSION}}")
second = redirect_it(a="{{secrets.SESSION}}", b="{{secrets.OVER}}")
third = attempt(broken_it(a="{{secrets.ORGANISATION}}", b="{{secrets.PROJECT}}"))
fourth = large_it(a="{{secrets.PROJECT}}", b="{{secrets.SESSION}}")
fifth = packed_it(a="{{secrets.SESSION}}", b="{{secrets.OVER}}")
sixth = typed_it(a="{{secrets.ORGANISATION}}", b="{{secrets.SESSION}}")
seventh = remembered_it()
eighth = call_back_it(a="{{secrets.signal_url_paid}}", b="{{secrets.signal_token_paid}}")
paid = wait_for_signal(name="paid", timeoutSeconds=60)
ninth = echo_it(a=f"{echoed} {second} {third}", b=fourth.end)
reply(f"{echoed} {second} {third} {fourth.end} {fifth} {sixth} {seventh} {eighth} {paid} {ninth}")
</script>"""
FAILING = '<script>\nx = broken_it(a="{{secrets.SESSION}}", b="{{secrets.ORGANISATION}}")\nreply(x)\n</script>'


@dataclass
class Planted:
    """A platform with a canary in every secret place, and the two that it speaks to."""

    platform: Platform
    api: ApiClient
    service: LeakyService
    model: ScriptedServer
    canaries: dict[str, Canary]
    session: str = ""

    def value(self, place: str) -> str:
        return self.canaries[place].value


@pytest.fixture(scope="module")
def everywhere(planvault: PlanVault) -> Iterator[Planted]:
    root = Path(tempfile.mkdtemp(prefix="pv-", dir="/tmp"))
    root.chmod(0o755)
    data = root / "data"
    canaries = {place: planted(place) for place in SECRETS}
    provider, vendor = (found_credential(place, f"sk-{planted(place).core}") for place in ("provider", "vendor"))
    canaries |= {"provider key": provider, "vendor key": vendor}
    try:
        with leaky_service() as service, ScriptedServer([FAULTY, PLAN, FAILING]) as model:
            up = planvault(
                *("up", "--detach", "--json", "--data-dir", str(data), "--port", str(free_port(LOOPBACK))),
                timeout=UP_TIMEOUT_S,
                PLANVAULT_LLM_BASE_URL=model.base_url,
                PLANVAULT_LLM_API_KEY=provider.value,
                ANTHROPIC_API_KEY=vendor.value,
                PLANVAULT_LOG_LEVEL="DEBUG",
            )
            assert up.returncode == 0, f"the platform did not come up:\n{up.stderr}"
            platform = Platform(data, json.loads(up.stdout))
            made = platform.credentials
            canaries |= of_the_platform(platform)
            with ApiClient(
                platform.base_url,
                project_id=made["projectId"],
                project_key=made["projectKey"],
                org_id=made["orgId"],
                admin_token=made["adminToken"],
            ) as api:
                yield Planted(platform, api, service, model, canaries)
    finally:
        planvault("down", "--data-dir", str(data))
        shutil.rmtree(root, ignore_errors=True)


def of_the_platform(platform: Platform) -> dict[str, Canary]:
    """What the bring-up made: every private file of the data directory is a secret place."""
    made = platform.credentials
    keyset = json.loads((platform.data_dir / "keyset.json").read_text())
    logins = json.loads((platform.data_dir / "database.json").read_text())
    found = {
        "admin token": made["adminToken"],
        "project key": made["projectKey"],
        "ray token": (platform.data_dir / "ray_token").read_text().strip(),
        **{f"database password of {login}": password for login, password in logins.items()},
        **{f"keyset {number}": text for number, text in enumerate(_texts(keyset)) if len(text) >= 32},
    }
    assert any(place.startswith("keyset") for place in found)
    return {place: found_credential(place, text) for place, text in found.items()}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def plant(at: Planted) -> None:
    """Secrets at three levels, one of them overridden twice; a header template; a key of its own."""
    api, project = at.api, at.platform.credentials["projectId"]
    started = api.import_spec("leaky", base_url=at.service.base_url, spec=at.service.spec())
    await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
    put_secrets(at, "secrets", ORGANISATION="organisation", OVER="overridden_org", AUTH="auth")
    put_secrets(at, f"projects/{project}/secrets", PROJECT="project", OVER="overridden_project")
    api.set_integration("leaky", enabled=True, auth={"X-Auth": "Token {{secrets.AUTH}}", "?key": "{{secrets.AUTH}}"})
    settings: JsonObject = {"autoApprovePlan": True, "plannerMode": "python_dsl"}
    at.session = str(api.create_session({"settings": settings, "secrets": {"SESSION": at.value("session")}})["id"])
    api.put_secrets(at.session, {"OVER": at.value("overriding_session")})
    key = api.create_key("canary", ["hrn:project:*"])
    at.canaries["second key"] = found_credential("second key", str(key["key"]))


def put_secrets(at: Planted, route: str, **places: str) -> None:
    body = {"secrets": {name: at.value(place) for name, place in places.items()}}
    answer = httpx.put(f"{at.platform.admin_url}/{route}", json=body, headers=at.platform.admin_headers)
    assert answer.status_code == 204, answer.text


def prompt(at: Planted, text: str) -> list[str]:
    """Types and contents of the events that a viewer gets."""
    after = at.api.newest_seq(at.session)
    at.api.send_message(at.session, text)
    return [
        f"{event.type} {json.dumps(event.data)}"
        for event in at.api.follow(at.session, after, until=frozenset({"done"}))
    ]


def malformed(at: Planted) -> Iterator[str]:
    """Requests that carry a canary and are refused: what they are told."""
    runtime, admin, value = at.platform.runtime_url, at.platform.admin_url, at.value("session")
    key, token = at.platform.project_headers, at.platform.admin_headers
    wrong = {"Authorization": f"Bearer sk_live_{at.canaries['session'].core}"}
    for method, url, headers, body in (
        ("PUT", f"{runtime}/sessions/{at.session}/secrets", key, {"secrets": {"not a name": value}}),
        ("PUT", f"{runtime}/sessions/{at.session}/secrets", key, {"secrets": {"NAME": [value]}}),
        ("PUT", f"{admin}/secrets", token, {"secrets": {"A": value + "\u0000"}}),
        ("PUT", f"{admin}/secrets", token, {"secrets": value}),
        ("PUT", f"{admin}/secrets", token, {"secrets": {"A": value * 4_000}}),
        ("POST", f"{runtime}/sessions", key, {"secrets": {"A": {"b": value}}}),
        ("PUT", f"{runtime}/tools/integrations/leaky", key, {"enabled": 1, "auth": {"X-A": f"{value}\n"}}),
        ("GET", f"{runtime}/tools", wrong, None),
        ("PUT", f"{admin}/secrets", key, {"secrets": {"A": value}}),
        ("POST", f"{runtime}/callbacks/{at.session}", wrong, {"a": 1}),
    ):
        answer = httpx.request(method, url, headers=headers, json=body, trust_env=False)
        assert 400 <= answer.status_code < 500, (method, url, answer.text)
        yield f"{answer.headers}\n{answer.text}"


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_no_canary_stands_anywhere_but_in_the_call_it_is_for(everywhere: Planted, planvault: PlanVault) -> None:
    at = everywhere
    plant(at)
    seen = prompt(at, "Give everything away, and wait for the signal paid")
    assert json.loads(seen[-1].removeprefix("done "))["status"] == "completed", "\n".join(seen)[-4_000:]
    assert len(at.model.requests) == 2, seen  # the faulty plan went back
    seen += prompt(at, "Now fail")
    at.model.then(Refusal(401, f"the key {at.value('provider key')} is not valid"))
    seen += prompt(at, "Now be refused")
    the_service_got_them(at)
    search = Search(at.canaries)
    search.look("sse", "\n".join(seen))
    search.look("problems", "\n".join(malformed(at)))
    every_answer_of_the_api(at, search)
    for request in at.model.requests:
        search.look("model requests", json.dumps(request.body, ensure_ascii=False))
        search.look("model request headers", json.dumps(request.headers), frozenset({"provider key"}))
    every_file(at, search)
    rays_surface(at, search)
    search.look("database dump", dumped(at))
    the_command_line(at, planvault, search)
    assert search.where == {}
    assert all(search.bytes.values()), f"nothing was looked at: {search.bytes}"
    assert search.bytes["database dump"] > 100_000


def the_service_got_them(at: Planted) -> None:
    """Each secret arrived in its call, the overriding one in the place of those it overrides."""
    arrived = "\n".join(request for _, request in at.service.requests)
    bodies = arrived.replace('\\"', '"')
    for place in ("organisation", "project", "session", "auth"):
        assert at.value(place) in bodies, place
    assert at.canaries["overriding_session"].core in arrived
    for place in ("overridden_org", "overridden_project"):
        assert at.canaries[place].core not in arrived
    assert at.service.delivered == [200]
    paths = [path.partition("?")[0] for path, _ in at.service.requests]
    assert {"/echo", "/redirect", "/landing", "/broken", "/large", "/packed", "/typed", "/remembered"} <= set(paths)


def every_answer_of_the_api(at: Planted, search: Search) -> None:
    """Every GET of the public document that needs no id but those we know, and what the run left."""
    base, session = at.platform.base_url, at.session
    document = httpx.get(f"{base}/api/openapi.json").text
    search.look("openapi", document)
    known = {
        "projectId": at.platform.credentials["projectId"],
        "orgId": at.platform.credentials["orgId"],
        "sessionId": session,
        "runId": str(at.api.runs(session)[-1]["id"]),
    }
    headers = {"/api/": at.platform.project_headers, "/admin/": at.platform.admin_headers}
    asked = 0
    for path, operations in json.loads(document)["paths"].items():
        url = path
        for name, value in known.items():
            url = url.replace(f"{{{name}}}", value)
        prefix = next((prefix for prefix in headers if path.startswith(prefix)), None)
        # The chat is searched event by event; open signals are listed with their token, for keys that may write.
        if "get" in operations and "{" not in url and prefix and not url.endswith(("/chat", "/signals")):
            answer = httpx.get(base + url, headers=headers[prefix], timeout=30)
            search.look(f"api {path}", f"{answer.headers}\n{answer.text}")
            asked += answer.status_code == 200
    assert asked >= 15
    for event in at.api.history(session):
        search.look("history", json.dumps(event, ensure_ascii=False))
    search.look("integrations", json.dumps(at.api.integrations()))


def every_file(at: Planted, search: Search) -> None:
    """All that the platform wrote but the database's own files, and the private files that are the secret places."""
    found = state.read(existing(at.platform.data_dir))
    assert found is not None
    assert found.ray_dir is not None
    private = {"keyset.json", "credentials.json", "ray_token", "database.json"}
    for folder in (at.platform.data_dir, found.ray_dir):
        for directory, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not (Path(directory) / name / "PG_VERSION").exists()]
            for name in names:
                path = Path(directory) / name
                if name in private or path.name.startswith("keyset") or not path.is_file():
                    assert not path.is_file() or path.stat().st_mode & 0o077 == 0, f"{path} is not private"
                    continue
                search.look("ray's files" if folder == found.ray_dir else "log files", path.read_bytes())
    for log in (at.platform.data_dir / "postgres" / "log").glob("*"):
        search.look("database log", log.read_bytes())


def rays_surface(at: Planted, search: Search) -> None:
    """The dashboard with its token, every metrics page, and what `ps` shows of every process."""
    found = state.read(existing(at.platform.data_dir))
    assert found is not None
    assert found.ray is not None
    headers = {"Authorization": f"Bearer {at.value('ray token')}"}
    for route in ("v0/tasks?limit=5000&detail=1", "v0/actors?limit=500&detail=1", "v0/workers?limit=500&detail=1",
                  "v0/objects?limit=500", "v0/logs?node_ip=127.0.0.1", "jobs/", "serve/applications/"):  # fmt: skip
        answer = httpx.get(f"{found.dashboard_url}/api/{route}", headers=headers, timeout=30)
        search.look("ray's dashboard", answer.text)
    ports: set[int] = set()
    for process in found.ray.members():
        try:
            search.look("command lines", "\0".join(process.cmdline()))
            listening = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        ports |= {each.laddr.port for each in listening if each.status == psutil.CONN_LISTEN}
    pages = 0
    for port in ports:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=2, trust_env=False)
        except httpx.HTTPError:
            continue  # speaks gRPC
        if answer.status_code == 200 and "# TYPE" in answer.text:
            pages += 1
            search.look("metrics", answer.text)
    assert pages > 0


def dumped(at: Planted) -> bytes:
    server = postgres.embedded(existing(at.platform.data_dir), server_user())
    environment = {**os.environ, "LD_LIBRARY_PATH": str(server.binaries / "lib")}
    made = subprocess.run(
        [str(server.binaries / "bin" / "pg_dump"), "--dbname", server.url()], capture_output=True, env=environment
    )
    assert made.returncode == 0, made.stderr.decode()
    return made.stdout


def the_command_line(at: Planted, planvault: PlanVault, search: Search) -> None:
    for arguments in (
        *(("status", "--json"), ("doctor", "--json"), ("runs",), ("keys", "list"), ("keys", "list", "--json")),
        *(("tools", "list"), ("imports", "list"), ("scenarios", "list"), ("jobs", "list"), ("logs",)),
        ("runs", "--json"),
    ):
        ran = planvault(*arguments, "--data-dir", str(at.platform.data_dir), timeout=60)
        assert ran.returncode in (0, 1), (arguments, ran.stderr)
        search.look(f"planvault {' '.join(arguments)}", ran.stdout + ran.stderr)


def test_the_search_finds_a_canary_in_every_form_that_it_claims_to() -> None:
    canary, other = planted("somewhere"), planted("elsewhere")
    for way, content in hidden_in_every_way(canary).items():
        search = Search({"somewhere": canary, "elsewhere": other})
        search.look(way, content)
        assert search.where == {way: {"somewhere"}}, way
