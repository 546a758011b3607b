"""The executor against a server that counts: at most one request, and the truth about what happened to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from models.base import JsonObject
from models.ids import IntegrationId, OrgId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tools import (
    HttpBinding,
    IntegrationState,
    ParamLocation,
    Tool,
    ToolCallFailure,
    ToolFailed,
    ToolParam,
    ToolSucceeded,
)
from models.values import SecretHandle, SecretText, Value
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.errors import NotFound
from planvault.net.client import GuardedHttp
from planvault.ports import CallTarget, ToolCall
from planvault.redact import Redactor
from planvault.tools.http import MAX_REDIRECTS, HttpExecutor
from tests.integration.tools.counting_server import Received, answering, counting, dropping

SECRETS = {"TOKEN": "tok-3f9a8b7c6d5e", "PASS": "p@ss word/+=1"}
METHODS = ["GET", "PUT", "POST", "DELETE", "PATCH"]
WRITING = METHODS[1:]
IDS = TimeOrderedIds()


async def secret(name: str) -> str:
    if name not in SECRETS:
        raise NotFound(f"No secret named {name} is defined.")
    return SECRETS[name]


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    client = GuardedHttp()
    yield client
    await client.aclose()


@pytest.fixture
def executor(http: GuardedHttp) -> HttpExecutor:
    return HttpExecutor(http, Redactor(), SystemClock())


def tool(method: str = "GET", *params: ToolParam, path: str = "/t", timeout_s: float = 5.0, **binding: object) -> Tool:
    return Tool(
        id=ToolId(IDS.new()),
        org_id=OrgId(IDS.new()),
        integration_id=IntegrationId(IDS.new()),
        name="t",
        group="g",
        params=params,
        binding=HttpBinding(method=method, path=path, **binding),
        timeout_s=timeout_s,
    )


def call(url: str, which: Tool, args: Mapping[str, Value] | None = None, **state: object) -> ToolCall:
    return ToolCall(
        tool=which,
        args=args or {},
        target=CallTarget(url, IntegrationState(**state), EgressPolicy(allow_loopback=True)),
        idempotency_key="run-node-0",
        attempt=1,
        limits=RunLimits(),
        secret=secret,
    )


def failed(outcome: object) -> tuple[ToolCallFailure, str]:
    assert isinstance(outcome, ToolFailed), outcome
    return outcome.failure, outcome.code


# ── at most one request ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", METHODS)
async def test_a_connection_dropped_after_execution_is_not_tried_again(executor: HttpExecutor, method: str) -> None:
    async with counting(dropping) as server:
        assert failed(await executor.execute(call(server.url, tool(method)))) == (
            ToolCallFailure.UNKNOWN,
            "CONNECTION_LOST",
        )
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("method", METHODS)
async def test_a_reused_connection_dropped_after_execution_is_not_tried_again(
    executor: HttpExecutor, method: str
) -> None:
    answer = answering()

    async def first_answers_then_drops(received: Received, writer: asyncio.StreamWriter) -> None:
        await (answer if len(server.requests) == 1 else dropping)(received, writer)

    async with counting(first_answers_then_drops) as server:
        assert isinstance(await executor.execute(call(server.url, tool(method))), ToolSucceeded)
        assert failed(await executor.execute(call(server.url, tool(method))))[0] is ToolCallFailure.UNKNOWN
        assert [request.connection for request in server.requests] == [1, 1], "the connection was not reused"
        assert server.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", WRITING)
async def test_a_redirect_of_a_writing_method_is_an_answer(executor: HttpExecutor, method: str, status: int) -> None:
    async with counting(answering(status, b"", Location="/elsewhere")) as server:
        assert failed(await executor.execute(call(server.url, tool(method)))) == (
            ToolCallFailure.ANSWERED,
            f"HTTP_{status}",
        )
        assert len(server.requests) == 1


async def test_a_redirected_get_reaches_its_answer_without_our_credentials_at_another_origin(
    executor: HttpExecutor,
) -> None:
    async with (
        counting(answering(200, b'"there"')) as other,
        counting(answering(302, b"", Location=other.url)) as server,
    ):
        outcome = await executor.execute(call(server.url, tool(), auth_headers={"X-Key": "{{secrets.TOKEN}}"}))
        assert isinstance(outcome, ToolSucceeded)
        assert outcome.value == "there"
        assert server.requests[0].headers["x-key"] == SECRETS["TOKEN"]
        assert "x-key" not in other.requests[0].headers


async def test_a_circle_of_redirects_is_an_answer_and_not_a_broken_connection(executor: HttpExecutor) -> None:
    async with counting(answering(302, b"", Location="/")) as server:
        assert failed(await executor.execute(call(server.url, tool()))) == (
            ToolCallFailure.ANSWERED,
            "TOO_MANY_REDIRECTS",
        )
        assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 429])
async def test_no_status_makes_the_executor_try_again(executor: HttpExecutor, status: int) -> None:
    async with counting(answering(status, b"", Retry_After="0")) as server:
        await executor.execute(call(server.url, tool("POST")))
        assert len(server.requests) == 1


# ── what is known of a failure ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, ToolCallFailure.ANSWERED) for status in (400, 401, 404, 409, 422, 429, 500, 501)),
        *((status, ToolCallFailure.UNKNOWN) for status in (502, 503, 504)),
    ],
)
async def test_a_status_is_classified(executor: HttpExecutor, status: int, kind: ToolCallFailure) -> None:
    async with counting(answering(status, b'{"message": "no such order"}')) as server:
        outcome = await executor.execute(call(server.url, tool("POST")))
        assert failed(outcome) == (kind, f"HTTP_{status}")
        assert isinstance(outcome, ToolFailed)
        assert "no such order" in outcome.message
        assert outcome.status == status


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)])
async def test_429_with_retry_after_is_a_refusal(executor: HttpExecutor, value: str, seconds: float) -> None:
    async with counting(answering(429, b"", Retry_After=value)) as server:
        outcome = await executor.execute(call(server.url, tool("POST")))
        assert isinstance(outcome, ToolFailed)
        assert (outcome.failure, outcome.retry_after_s) == (ToolCallFailure.REFUSED, seconds)


async def test_a_refused_connection_was_not_sent(executor: HttpExecutor) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert failed(await executor.execute(call(url, tool("POST")))) == (ToolCallFailure.NOT_SENT, "CONNECT_FAILED")


async def test_a_name_that_does_not_resolve_was_not_sent(executor: HttpExecutor) -> None:
    outcome = await executor.execute(call("http://nothing.invalid", tool("POST")))
    assert failed(outcome)[0] is ToolCallFailure.NOT_SENT


async def test_silence_after_the_request_is_unknown(executor: HttpExecutor) -> None:
    async def silent(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with counting(silent) as server:
        outcome = await executor.execute(call(server.url, tool("POST", timeout_s=0.3)))
        assert failed(outcome) == (ToolCallFailure.UNKNOWN, "TIMEOUT")
        assert len(server.requests) == 1
        for writer in server.writers:
            writer.transport.abort()


async def test_an_answer_that_trickles_forever_meets_the_deadline(executor: HttpExecutor) -> None:
    async def trickle(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with counting(trickle) as server:
        outcome = await asyncio.wait_for(executor.execute(call(server.url, tool("POST", timeout_s=0.3))), 5)
        assert failed(outcome) == (ToolCallFailure.UNKNOWN, "TIMEOUT")


async def test_a_body_cut_short_is_unknown(executor: HttpExecutor) -> None:
    async def cut(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":')
        await writer.drain()
        writer.close()

    async with counting(cut) as server:
        assert failed(await executor.execute(call(server.url, tool("POST"))))[0] is ToolCallFailure.UNKNOWN


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_not_read_to_its_end(executor: HttpExecutor, declared: bool) -> None:
    async def flood(_: Received, writer: asyncio.StreamWriter) -> None:
        head = b"Content-Length: 100000000" if declared else b"Connection: close"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    async with counting(flood) as server:
        wanted = replace(call(server.url, tool("POST")), limits=RunLimits(max_result_bytes=100_000))
        assert failed(await executor.execute(wanted)) == (ToolCallFailure.ANSWERED, "RESPONSE_TOO_LARGE")


@pytest.mark.parametrize(
    ("base", "policy"),
    [("http://127.0.0.1:1", EgressPolicy()), ("http://169.254.169.254", EgressPolicy(allow_loopback=True))],
)
async def test_an_address_the_policy_denies_is_rejected(
    executor: HttpExecutor, base: str, policy: EgressPolicy
) -> None:
    wanted = call(base, tool())
    outcome = await executor.execute(replace(wanted, target=replace(wanted.target, egress=policy)))
    assert failed(outcome) == (ToolCallFailure.REJECTED, "EGRESS_DENIED")


async def test_bad_arguments_and_a_switched_off_integration_send_nothing(executor: HttpExecutor) -> None:
    async with counting(answering()) as server:
        assert failed(await executor.execute(call(server.url, tool(), {"x": 1})))[1] == "INVALID_ARGUMENTS"
        assert failed(await executor.execute(call("nowhere", tool())))[1] == "INVALID_ARGUMENTS"
        off = await executor.execute(call(server.url, tool(), enabled=False))
        assert failed(off) == (ToolCallFailure.REJECTED, "INTEGRATION_DISABLED")
        assert server.connections == 0


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("application/problem+json; charset=utf-8", b'"x"', "x"),
        ("text/plain", b"hello", "hello"),
        ("text/html; charset=iso-8859-1", "é".encode("latin-1"), "é"),
        ("text/plain", b'{"a": 1}', {"a": 1}),
        ("application/json", b"", None),
        ("application/json", b"not json", "not json"),
        ("image/png", b"\x89PNG\xff", {"contentType": "image/png", "base64": "iVBOR/8="}),
    ],
)
async def test_results_by_content_type(executor: HttpExecutor, content_type: str, body: bytes, value: object) -> None:
    async with counting(answering(200, body, Content_Type=content_type)) as server:
        outcome = await executor.execute(call(server.url, tool()))
        assert isinstance(outcome, ToolSucceeded)
        assert (outcome.value, outcome.status, outcome.size) == (value, 200, len(body))


async def test_204_is_null(executor: HttpExecutor) -> None:
    async with counting(answering(204, b"")) as server:
        outcome = await executor.execute(call(server.url, tool("DELETE")))
        assert isinstance(outcome, ToolSucceeded)
        assert outcome.value is None


async def test_a_large_result_does_not_hold_the_event_loop_up(executor: HttpExecutor) -> None:
    body = json.dumps([{"id": i, "text": "x" * 40} for i in range(60_000)]).encode()
    gaps: list[float] = []

    async def heartbeat() -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(0)
            gaps.append(loop.time() - last)
            last = loop.time()

    async with counting(answering(200, body)) as server:
        beating = asyncio.create_task(heartbeat())
        outcome = await executor.execute(call(server.url, tool()))
        beating.cancel()
    assert isinstance(outcome, ToolSucceeded)
    assert isinstance(outcome.value, list)
    assert len(outcome.value) == 60_000
    assert len(gaps) > 10


async def test_a_result_nested_too_deep_is_refused(executor: HttpExecutor) -> None:
    async with counting(answering(200, b"[" * 500 + b"]" * 500)) as server:
        assert failed(await executor.execute(call(server.url, tool())))[1] == "RESPONSE_TOO_DEEP"


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_secrets_are_bound_into_arguments_and_auth_templates(executor: HttpExecutor) -> None:
    note = ToolParam(name="note", location=ParamLocation.BODY, body_path=("note",))
    q = ToolParam(name="q", location=ParamLocation.QUERY, wire_name="q")
    async with counting(answering()) as server:
        args: JsonObject = {"note": {"deep": [SecretText(("a ", SecretHandle("PASS")))]}, "q": "{{secrets.TOKEN}}"}
        outcome = await executor.execute(
            call(
                server.url,
                tool("POST", note, q, content_type="application/json"),
                args,
                auth_headers={"Authorization": "Bearer {{secrets.TOKEN}}"},
            )
        )
        assert isinstance(outcome, ToolSucceeded)
        [request] = server.requests
        assert json.loads(request.body) == {"note": {"deep": ["a p@ss word/+=1"]}}
        assert request.headers["authorization"] == "Bearer tok-3f9a8b7c6d5e"
        # Text from elsewhere that merely spells a handle is text.
        assert request.target == "/t?q=%7B%7Bsecrets.TOKEN%7D%7D"


async def test_a_missing_secret_is_a_credential_to_be_mended_and_named(executor: HttpExecutor) -> None:
    async with counting(answering()) as server:
        outcome = await executor.execute(call(server.url, tool(), auth_headers={"X": "{{secrets.GONE}}"}))
        assert failed(outcome) == (ToolCallFailure.CREDENTIAL, "SECRET_MISSING")
        assert "GONE" in str(outcome)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("auth", "failure"), [({}, ToolCallFailure.ANSWERED), ({"X": "{{secrets.TOKEN}}"}, ToolCallFailure.CREDENTIAL)]
)
async def test_a_401_blames_the_credential_only_where_one_of_ours_was_sent(
    executor: HttpExecutor, auth: dict[str, str], failure: ToolCallFailure
) -> None:
    async with counting(answering(status=401)) as server:
        outcome = await executor.execute(call(server.url, tool(), auth_headers=auth))
    assert failed(outcome) == (failure, "HTTP_401")


@pytest.mark.parametrize("status", [200, 400])
async def test_a_service_that_echoes_a_secret_does_not_write_it_into_the_record(
    executor: HttpExecutor, status: int
) -> None:
    echo = json.dumps({"plain": SECRETS["PASS"], "b64": "cEBzcyB3b3JkLys9MQ==", "url": "p%40ss%20word%2F%2B%3D1"})
    async with counting(answering(status, echo.encode())) as server:
        outcome = await executor.execute(call(server.url, tool(), auth_headers={"X": "{{secrets.PASS}}"}))
        written = outcome.model_dump_json()
        assert server.requests[0].headers["x"] == SECRETS["PASS"]
        for form in (SECRETS["PASS"], "cEBzcyB3b3JkLys9MQ", "p%40ss%20word%2F%2B%3D1"):
            assert form not in written


async def test_a_keyed_tool_sends_its_idempotency_key(executor: HttpExecutor) -> None:
    async with counting(answering()) as server:
        await executor.execute(call(server.url, tool("POST", idempotency_header="Idempotency-Key")))
        await executor.execute(call(server.url, tool("POST")))
        assert [request.headers.get("idempotency-key") for request in server.requests] == ["run-node-0", None]
