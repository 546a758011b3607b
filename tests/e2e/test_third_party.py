"""Services of others, described by themselves, used through the public API only: import, selection, plan, run."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from models.base import JsonObject
from planvault.cli.answers import AnswerByRule
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from planvault.cli.watch import RunSeen, Watcher
from tests.e2e import third_party
from tests.e2e.third_party import Service

pytestmark = pytest.mark.e2e

KINTO_USER = "YWRhOnB3"  # base64 of ada:pw


@contextmanager
def imported(api: ApiClient, alias: str, service: Service) -> Iterator[JsonObject]:
    """The finished import of a service's own description; the integration goes when the block ends."""
    started = api.import_spec(alias, base_url=service.base_url, spec=service.document())
    try:
        state = await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        assert state["status"] == "completed", state
        yield state
    finally:
        api.delete_integration(str(started["toolId"]))


@pytest.fixture(scope="module")
def kinto(api: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = Path(tmp_path_factory.mktemp("kinto"))
    with third_party.kinto(folder) as service, imported(api, "kinto", service):
        api.set_integration("kinto", enabled=True, auth={"Authorization": "Basic {{secrets.KINTO_USER}}"})
        yield service


@pytest.fixture(scope="module")
def httpbin(api: ApiClient) -> Iterator[JsonObject]:
    with third_party.httpbin() as service, imported(api, "httpbin", service) as state:
        yield state


def ask(api: ApiClient, prompt: str, **values: str) -> RunSeen:
    """One prompt in a session of its own; plans are approved, slots filled from `values`."""
    session = str(api.create_session({"secrets": {"KINTO_USER": KINTO_USER}})["id"])
    seen = Watcher(api, session, AnswerByRule(Console(file=StringIO()), values), lambda _: None).prompt(prompt, 60)
    assert KINTO_USER not in str(api.history(session)), "a secret is on record"
    return seen


def test_kinto_is_changed_by_a_plan_whose_missing_value_a_person_gave(api: ApiClient, kinto: Service) -> None:
    seen = ask(api, "Update bucket", id="library")

    assert (seen.status, seen.succeeded, seen.slots_asked) == ("completed", ["update_bucket"], ["id"]), seen
    assert seen.approval_asked
    found = httpx.get(f"{kinto.base_url}/buckets/library", auth=("ada", "pw"))
    assert found.json()["data"]["id"] == "library"


def test_what_kinto_holds_is_read_by_the_next_plan(api: ApiClient, kinto: Service) -> None:
    httpx.put(f"{kinto.base_url}/buckets/archive", auth=("ada", "pw")).raise_for_status()

    seen = ask(api, "List the buckets")

    assert (seen.status, seen.succeeded) == ("completed", ["get_buckets"]), seen
    assert '"archive"' in seen.reply
    assert seen.tier == "flat_rag"
    assert len(seen.shortlist) == 30


def test_what_kinto_refuses_fails_the_run_clearly(api: ApiClient, kinto: Service) -> None:
    seen = ask(api, "Update bucket", id="not a valid name!")

    assert (seen.status, seen.failed) == ("failed", ["update_bucket"]), seen
    assert "400" in seen.error


def test_httpbin_answers_a_plan_with_a_value_from_the_prompt(api: ApiClient, httpbin: JsonObject) -> None:
    seen = ask(api, "Decode the base64 value 'cGxhbiwgbmV2ZXIgYWN0'")

    assert (seen.status, seen.succeeded) == ("completed", ["get_base64_by_value"]), seen
    assert "plan, never act" in seen.reply


def test_the_report_says_what_of_httpbin_could_not_become_a_tool(httpbin: JsonObject) -> None:
    report = httpbin["report"]
    assert isinstance(report, list)
    outcomes = {str(entry["operation"]): entry["outcome"] for entry in report if isinstance(entry, dict)}

    assert outcomes["TRACE /anything"] == "skipped"
    assert outcomes["GET /uuid"] == "created"
