"""Descriptions that others wrote, imported and called: what leaves is what their service expects."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from models.base import JsonValue
from models.ids import IntegrationId, OrgId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tools import IntegrationState, Tool, ToolCallFailure, ToolFailed, ToolOutcome, ToolSucceeded
from models.values import Value
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.errors import NotFound
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec
from planvault.net.client import GuardedHttp
from planvault.ports import CallTarget, ToolCall
from planvault.redact import Redactor
from planvault.tools.http import HttpExecutor
from tests.e2e import third_party
from tests.e2e.third_party import Service

IDS = TimeOrderedIds()
SECRETS = {"BASIC": base64.b64encode(b"ada:pw").decode(), "TOKEN": "t0ken"}


async def secret(name: str) -> str:
    if name not in SECRETS:
        raise NotFound(name)
    return SECRETS[name]


class Imported:
    """A service's operations as tools, called through the real executor."""

    def __init__(self, service: Service, executor: HttpExecutor, auth: dict[str, str]) -> None:
        self.base_url = service.base_url
        self.executor = executor
        self.state = IntegrationState(auth_headers=auth)
        drafts = extract(parse_spec(service.document())).drafts
        self.tools = {
            draft.name: Tool(
                id=ToolId(IDS.new()),
                org_id=OrgId(IDS.new()),
                integration_id=IntegrationId(IDS.new()),
                name=draft.name,
                group="g",
                params=draft.params,
                binding=draft.binding,
            )
            for draft in drafts
        }

    async def call(self, name: str, **args: Value) -> ToolOutcome:
        call = ToolCall(
            tool=self.tools[name],
            args=args,
            target=CallTarget(self.base_url, self.state, EgressPolicy(allow_loopback=True)),
            idempotency_key="k",
            attempt=1,
            limits=RunLimits(),
            secret=secret,
        )
        return await self.executor.execute(call)

    async def value(self, name: str, **args: Value) -> dict[str, JsonValue]:
        outcome = await self.call(name, **args)
        assert isinstance(outcome, ToolSucceeded), outcome
        assert isinstance(outcome.value, dict)
        return outcome.value

    async def failure(self, name: str, **args: Value) -> ToolFailed:
        outcome = await self.call(name, **args)
        assert isinstance(outcome, ToolFailed), outcome
        return outcome


@pytest.fixture(scope="module")
def kinto_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with third_party.kinto(Path(tmp_path_factory.mktemp("kinto"))) as service:
        yield service


@pytest.fixture(scope="module")
def httpbin_service() -> Iterator[Service]:
    with third_party.httpbin() as service:
        yield service


@pytest.fixture
async def executor() -> AsyncIterator[HttpExecutor]:
    client = GuardedHttp()
    yield HttpExecutor(client, Redactor(), SystemClock())
    await client.aclose()


@pytest.fixture
def kinto(kinto_service: Service, executor: HttpExecutor) -> Imported:
    return Imported(kinto_service, executor, {"Authorization": "Basic {{secrets.BASIC}}"})


@pytest.fixture
def httpbin(httpbin_service: Service, executor: HttpExecutor) -> Imported:
    return Imported(httpbin_service, executor, {"Authorization": "Bearer {{secrets.TOKEN}}"})


async def test_kinto_keeps_what_nested_bodies_say(kinto: Imported) -> None:
    await kinto.value("update_bucket", id="library", permissions_read=["system.Everyone"])
    await kinto.value("update_collection", bucket_id="library", id="books", data={"sort": "title"})
    made = await kinto.value(
        "create_record",
        bucket_id="library",
        collection_id="books",
        data={"title": "Nöther", "tags": ["algebra", "ring theory"], "pages": 250, "in_print": None},
    )
    record = made["data"]
    assert isinstance(record, dict)

    found = await kinto.value("get_record", bucket_id="library", collection_id="books", id=record["id"])
    bucket = await kinto.value("get_bucket", id="library")

    assert found["data"] == record
    assert record["tags"] == ["algebra", "ring theory"]
    assert isinstance(bucket["permissions"], dict)
    assert bucket["permissions"]["read"] == ["system.Everyone"]


async def test_kinto_filters_sorts_and_limits_by_query(kinto: Imported) -> None:
    await kinto.value("update_bucket", id="queries")
    await kinto.value("update_collection", bucket_id="queries", id="numbers")
    for number in range(4):
        await kinto.value("create_record", bucket_id="queries", collection_id="numbers", data={"n": number})

    page = await kinto.value(
        "get_records", bucket_id="queries", collection_id="numbers", sort=["-n"], limit=2, fields=["n"]
    )

    assert isinstance(page["data"], list)
    assert [record["n"] for record in page["data"] if isinstance(record, dict)] == [3, 2]
    assert all("schema" not in record for record in page["data"] if isinstance(record, dict))


async def test_kinto_honours_a_precondition_in_a_header(kinto: Imported) -> None:
    await kinto.value("update_bucket", id="guarded")

    refused = await kinto.failure("update_bucket", id="guarded", If_None_Match="*", data={"n": 2})

    assert (refused.failure, refused.code) == (ToolCallFailure.ANSWERED, "HTTP_412")


async def test_kinto_says_what_is_not_there(kinto: Imported) -> None:
    missing = await kinto.failure("get_bucket", id="no/such bucket?")

    assert missing.failure is ToolCallFailure.ANSWERED
    assert missing.status in (400, 403, 404)


async def test_a_deleted_record_is_gone(kinto: Imported) -> None:
    await kinto.value("update_bucket", id="bin")
    await kinto.value("delete_bucket", id="bin")

    assert (await kinto.failure("get_bucket", id="bin")).failure is ToolCallFailure.ANSWERED


async def test_httpbin_is_imported_although_its_description_is_careless(httpbin_service: Service) -> None:
    extraction = extract(parse_spec(httpbin_service.document()))

    assert len(extraction.drafts) > 60
    assert {report.operation.partition(" ")[0] for report in extraction.skipped} == {"TRACE"}
    assert len({draft.name for draft in extraction.drafts}) == len(extraction.drafts)


async def test_httpbin_accepts_the_secret_and_its_echo_comes_back_masked(httpbin: Imported) -> None:
    answer = await httpbin.value("get_bearer")

    assert answer["authenticated"] is True
    assert SECRETS["TOKEN"] not in str(answer)


@pytest.mark.parametrize("text", ["a/b", "ä ö?&=#", "100%", "..", "x;y=1"])
async def test_httpbin_gets_every_character_of_a_path_parameter(httpbin: Imported, text: str) -> None:
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    outcome = await httpbin.call("get_base64_by_value", value=encoded)

    assert isinstance(outcome, ToolSucceeded), outcome
    assert outcome.value == text


async def test_httpbin_redirects_a_read_and_not_a_write(httpbin: Imported, httpbin_service: Service) -> None:
    target = f"{httpbin_service.base_url}/uuid"

    assert "uuid" in await httpbin.value("get_redirect_to", url=target)
    assert (await httpbin.failure("post_redirect_to", url=target)).status == 302


@pytest.mark.parametrize(
    ("status", "failure"),
    [(404, ToolCallFailure.ANSWERED), (500, ToolCallFailure.ANSWERED), (503, ToolCallFailure.UNKNOWN)],
)
async def test_httpbin_statuses_say_what_is_known_of_the_effect(
    httpbin: Imported, status: int, failure: ToolCallFailure
) -> None:
    failed = await httpbin.failure("post_status_by_codes", codes=status)

    assert (failed.failure, failed.status) == (failure, status)
