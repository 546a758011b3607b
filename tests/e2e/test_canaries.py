"""No secret leaves but in the call it is for (invariant 3): canaries in every secret place, every way out searched.

The service that gets them gives them back in its answers; the model's first plan is faulty and goes back for repair; a
run fails, a run is refused by the model, requests are malformed. Then everything that anybody could read is searched.
"""

import json
import shutil
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from planvault.crypto.keyset import load_or_create
from planvault.llm.scripted import Refusal, ScriptedServer
from tests.e2e import ways_out
from tests.e2e.beside import MIA, Beside, beside
from tests.e2e.canaries import Canary, Search, found_credential, found_key, hidden_in_every_way, planted
from tests.e2e.conftest import UP_TIMEOUT_S, PlanVault, Platform
from tests.e2e.leaky_service import LeakyService, leaky_service
from tests.e2e.secret_places import CONTENTS, kind, planted_kinds

SECRETS = (
    *("organisation", "project", "session", "auth", "overridden_org", "overridden_project", "overriding_session"),
    *("job secret", "header template", *sorted(CONTENTS)),
)
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
    """A platform with a canary in every secret place, and those that it speaks to."""

    platform: Platform
    api: ApiClient
    service: LeakyService
    model: ScriptedServer
    others: Beside
    canaries: dict[str, Canary]
    session: str = ""

    def value(self, place: str) -> str:
        return self.canaries[place].value


@pytest.fixture(scope="module")
def everywhere(planvault: PlanVault) -> Iterator[Planted]:
    root = Path(tempfile.mkdtemp(prefix="pv-", dir="/tmp"))
    root.chmod(0o755)
    data, keyset = root / "data", root / "keyset.json"
    load_or_create(keyset)  # it wraps nothing here, but is held by every process
    canaries = {place: planted(place) for place in SECRETS}
    provider, vendor = (found_credential(place, f"sk-{planted(place).core}") for place in ("provider", "vendor"))
    canaries |= {"provider key": provider, "vendor key": vendor}
    try:
        with (
            leaky_service() as service,
            ScriptedServer([FAULTY, PLAN, FAILING]) as model,
            beside(root) as others,
        ):
            up = planvault(
                *("up", "--detach", "--json", "--data-dir", str(data), "--port", str(free_port(LOOPBACK))),
                timeout=UP_TIMEOUT_S,
                PLANVAULT_LLM_BASE_URL=model.base_url,
                PLANVAULT_LLM_API_KEY=provider.value,
                ANTHROPIC_API_KEY=vendor.value,
                PLANVAULT_LOG_LEVEL="DEBUG",
                PLANVAULT_KEYSET_PATH=str(keyset),
                **others.environment,
            )
            assert up.returncode == 0, f"the platform did not come up:\n{up.stderr}"
            platform = Platform(data, json.loads(up.stdout))
            made = platform.credentials
            canaries |= of_the_platform(platform, keyset) | others.secrets
            with ApiClient(
                platform.base_url,
                project_id=made["projectId"],
                project_key=made["projectKey"],
                org_id=made["orgId"],
                admin_token=made["adminToken"],
            ) as api:
                yield Planted(platform, api, service, model, others, canaries)
    finally:
        planvault("down", "--data-dir", str(data))
        shutil.rmtree(root, ignore_errors=True)


def of_the_platform(platform: Platform, keyset_file: Path) -> dict[str, Canary]:
    """What the bring-up made: every private file of the data directory is a secret place."""
    made = platform.credentials
    keyset = json.loads(keyset_file.read_text())
    logins = json.loads((platform.data_dir / "database.json").read_text())
    found = {
        "admin token": made["adminToken"],
        "project key": made["projectKey"],
        "ray token": (platform.data_dir / "ray_token").read_text().strip(),
        **{f"database password of {login}": password for login, password in logins.items()},
    }
    keys = {f"keyset {key['id']}": found_key(f"keyset {key['id']}", b64decode(key["key"])) for key in keyset["keys"]}
    return {place: found_credential(place, text) for place, text in found.items()} | keys


def plant(at: Planted) -> None:
    """Secrets at three levels, one of them overridden twice; a header template; keys and tokens of every kind."""
    api, project = at.api, at.platform.credentials["projectId"]
    started = api.import_spec("leaky", base_url=at.service.base_url, spec=at.service.spec())
    await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
    put_secrets(at, "secrets", ORGANISATION="organisation", OVER="overridden_org", AUTH="auth")
    put_secrets(at, f"projects/{project}/secrets", PROJECT="project", OVER="overridden_project")
    auth = {"X-Auth": "Token {{secrets.AUTH}}", "?key": "{{secrets.AUTH}}", "X-Api-Key": at.value("header template")}
    api.set_integration("leaky", enabled=True, auth=auth)
    settings: JsonObject = {"autoApprovePlan": True, "plannerMode": "python_dsl"}
    body: JsonObject = {"settings": settings, "secrets": {"SESSION": at.value("session")}}
    facts: JsonObject = {"contextVars": {"fact": at.value("context")}, "externalUserId": at.value("external user")}
    at.session = str(api.create_session(body | facts)["id"])
    api.put_secrets(at.session, {"OVER": at.value("overriding_session")})
    plant_credentials(at)
    tomorrow: JsonObject = {"delaySeconds": 86_400.0, "secrets": {"JOB": at.value("job secret")}}
    api.create_job({"prompt": at.value("job prompt"), **tomorrow})
    sample: JsonObject = {"sampleQueries": [at.value("scenario sample")], "tools": ["echo_it"]}
    api.admin("POST", "scenarios", body={"name": "c", "systemInstruction": at.value("scenario instruction"), **sample})


def plant_credentials(at: Planted) -> None:
    """Each is asked for twice with one Idempotency-Key, so that its text is kept; some are replaced afterwards."""
    keys = f"projects/{at.platform.credentials['projectId']}/keys"
    key = made(at, keys, "second key", "key", {"name": "canary", "scopes": ["hrn:project:*"]})
    made(at, f"{keys}/{key['id']}/rotate", "rotated key", "key", {"graceSeconds": 3_600})
    token = made(at, "service-tokens", "service token", "token", {"name": "canary", "role": "ADMIN"})
    made(at, f"service-tokens/{token['id']}/rotate", "rotated service token", "token", {"graceSeconds": 3_600})
    made(at, "invitations", "invitation", "token", {"email": MIA, "role": "MEMBER"})
    mia = at.others.issuer.token(email=MIA)
    at.canaries["person's token"] = found_credential("person's token", mia.rpartition(".")[2])
    url, accept = f"{at.platform.base_url}/api/v1/account/invitations", {"token": at.value("invitation")}
    joined = httpx.post(url, json=accept, headers={"Authorization": f"Bearer {mia}"}, trust_env=False)
    assert joined.is_success, joined.text


def made(at: Planted, route: str, place: str, member: str, body: JsonObject) -> JsonObject:
    """What the Admin API answers to a POST, and again; `member` of it is the credential."""
    headers = at.platform.admin_headers | {"Idempotency-Key": f"for-{route}"}
    first, again = (httpx.post(f"{at.platform.admin_url}/{route}", json=body, headers=headers) for _ in range(2))
    assert first.is_success, first.text
    assert again.json() == first.json()
    answer: JsonObject = first.json()
    at.canaries[place] = found_credential(place, str(answer[member]))
    return answer


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
    seen = prompt(at, f"Give everything away, and wait for the signal paid {at.value('prompt')}")
    assert json.loads(seen[-1].removeprefix("done "))["status"] == "completed", "\n".join(seen)[-4_000:]
    assert len(at.model.requests) == 2, seen  # the faulty plan went back
    seen += prompt(at, "Now fail")
    at.model.then(Refusal(401, f"the key {at.value('provider key')} is not valid"))
    seen += prompt(at, "Now be refused")
    the_service_got_them(at)
    run = str(at.api.runs(at.session)[-1]["id"])
    at.api.give_feedback(at.session, run, "like", at.value("feedback comment"))
    export = exported(at)
    at.canaries |= at.others.data_keys()
    assert {kind(place) for place in at.canaries} == planted_kinds()
    search = Search(at.canaries)
    search.look("export of personal data", export, CONTENTS)
    search.look("sse", "\n".join(seen), CONTENTS)
    search.look("problems", "\n".join(malformed(at)))
    the_api(at, run, search)
    for request in at.model.requests:
        search.look("model requests", json.dumps(request.body, ensure_ascii=False), CONTENTS)
        search.look("model request headers", json.dumps(request.headers), frozenset({"provider key"}))
    ways_out.command_line(at.platform, search)
    ways_out.every_file(at.platform, search)
    ways_out.rays_surface(at.platform, at.value("ray token"), search)
    ways_out.command_lines(at.platform, search)
    ways_out.database_dump(at.platform, search)
    with at.others.redis.client() as client:
        ways_out.redis_contents(client, search)
    assert search.where == {}
    assert all(search.bytes.values()), f"nothing was looked at: {search.bytes}"
    assert search.bytes["database dump"] > 100_000
    assert "redis" in search.bytes


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
    called_back = next(request for path, request in at.service.requests if path.startswith("/call_back"))
    token = json.loads(called_back[called_back.index("{") :])["b"]
    at.canaries["signal token"] = found_credential("signal token", token)


def exported(at: Planted) -> bytes:
    """The file of an export of the person whose session it is."""
    who: JsonObject = {"target": "external_user", "externalUserId": at.value("external user")}
    route = f"gdpr/exports/{at.api.admin('POST', 'gdpr/exports', body=who)['id']}"
    deadline = time.monotonic() + 60
    while (request := at.api.admin("GET", route))["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, request
        time.sleep(0.1)
    assert request["state"] == "completed", request
    return httpx.get(f"{at.platform.admin_url}/{route}/file", headers=at.platform.admin_headers).content


def the_api(at: Planted, run: str, search: Search) -> None:
    known = {name: at.platform.credentials[name] for name in ("projectId", "orgId")}
    mia = {"Authorization": f"Bearer {at.others.issuer.token(email=MIA)}"}
    ways_out.every_answer(at.platform, known | {"sessionId": at.session, "runId": run}, mia, search)
    for event in at.api.history(at.session):
        search.look("history", json.dumps(event, ensure_ascii=False), CONTENTS)
    search.look("integrations", json.dumps(at.api.integrations()))


def test_the_search_finds_a_canary_in_every_form_that_it_claims_to() -> None:
    canary, other = planted("somewhere"), planted("elsewhere")
    for way, content in hidden_in_every_way(canary).items():
        search = Search({"somewhere": canary, "elsewhere": other})
        search.look(way, content)
        assert search.where == {way: {"somewhere"}}, way


@pytest.mark.parametrize("way", [bytes, bytes.hex, lambda raw: raw.hex().upper(), b64encode, list])
def test_the_search_finds_a_key_in_every_spelling(way: Callable[[bytes], object]) -> None:
    raw = bytes(range(100, 132))
    told = way(raw)
    search = Search({"key": found_key("key", raw)})
    search.look("out", b"x" + (told if isinstance(told, bytes) else str(told).encode()) + b"x")
    assert search.where == {"out": {"key"}}
