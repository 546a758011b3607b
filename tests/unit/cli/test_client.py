"""The thin API client: what it sends, what it makes of answers, how it follows a stream."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from planvault.cli.client import ApiClient
from planvault.cli.problem import ApiProblem
from planvault.errors import Unavailable

SESSION = "0190-session"


def client(answer: Callable[[httpx.Request], httpx.Response]) -> ApiClient:
    return ApiClient(
        "http://platform",
        project_id="p1",
        project_key="sk_live_x",
        org_id="o1",
        admin_token="pv_admin_y",
        transport=httpx.MockTransport(answer),
        pause=lambda _: None,
    )


def stream(*chunks: str) -> httpx.Response:
    return httpx.Response(
        200, headers={"Content-Type": "text/event-stream"}, content=(chunk.encode() for chunk in chunks)
    )


def sse(seq: int, event: str, data: str = "{}") -> str:
    return f"id: {seq}\nevent: {event}\ndata: {data}\n\n"


def test_an_operator_s_name_goes_out_as_utf_8() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        is_stream = request.method == "GET"
        return stream(sse(1, "done")) if is_stream else httpx.Response(202, json={"status": "queued"})

    api = ApiClient("http://p", project_id="p", project_key="k", operator="Zoë", transport=httpx.MockTransport(answer))
    api.send_message(SESSION, "hello")
    list(api.events(SESSION))
    assert {value for one in seen for name, value in one.headers.raw if name == b"X-Operator-Id"} == {"Zoë".encode()}


def test_a_request_that_was_too_many_is_made_again_when_the_api_says() -> None:
    waited: list[float] = []
    answers = [httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(202, json={"status": "queued"})]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    api = ApiClient("http://p", project_id="p", project_key="k", transport=transport, pause=waited.append)
    assert api.send_message(SESSION, "hello") == {"status": "queued"}
    assert waited == [7.0]


def test_a_limit_that_does_not_end_is_told() -> None:
    tried: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        return httpx.Response(429, headers={"Retry-After": "1"}, json={"type": "urn:planvault:problem:RATE_LIMITED"})

    with pytest.raises(ApiProblem) as refused:
        client(answer).send_message(SESSION, "hello")
    assert (refused.value.code, len(tried)) == ("RATE_LIMITED", 5)


def test_a_message_goes_to_its_session_with_key_and_idempotency_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"status": "queued", "messageId": "m1"})

    api = client(answer)
    assert api.send_message(SESSION, "hello")["messageId"] == "m1"
    api.send_message(SESSION, "hello")

    assert [request.url.path for request in seen] == [f"/api/v1/projects/p1/sessions/{SESSION}/messages"] * 2
    assert seen[0].headers["Authorization"] == "Bearer sk_live_x"
    assert json.loads(seen[0].content) == {"message": "hello"}
    assert seen[0].headers["Idempotency-Key"] != seen[1].headers["Idempotency-Key"]


def test_imports_and_keys_go_to_the_admin_api_with_the_admin_token() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"toolId": "t", "importId": "i"})

    client(answer).import_spec("shop", base_url="http://127.0.0.1:1", spec={"openapi": "3.1.0"})

    assert seen[0].url.path == "/admin/v1/orgs/o1/tools"
    assert seen[0].headers["Authorization"] == "Bearer pv_admin_y"
    assert json.loads(seen[0].content) == {
        "name": "shop",
        "displayName": "shop",
        "baseUrl": "http://127.0.0.1:1",
        "openApiSpec": {"openapi": "3.1.0"},
    }


def test_a_problem_becomes_an_error_with_code_detail_and_request_id() -> None:
    problem = {
        "type": "urn:planvault:problem:VALIDATION_FAILED",
        "title": "The request is not valid",
        "detail": "message must not be empty",
        "instance": "req-1",
        "errors": [{"pointer": "/message", "detail": "empty"}],
    }
    api = client(lambda _: httpx.Response(422, json=problem))

    with pytest.raises(ApiProblem, match="message must not be empty") as caught:
        api.send_message(SESSION, "")

    assert (caught.value.code, caught.value.status, caught.value.request_id) == ("VALIDATION_FAILED", 422, "req-1")
    assert caught.value.errors[0]["pointer"] == "/message"


def test_a_page_of_a_proxy_becomes_an_error_as_well() -> None:
    api = client(lambda _: httpx.Response(502, text="<html>bad gateway</html>"))

    with pytest.raises(ApiProblem) as caught:
        api.tools()

    assert caught.value.code == "HTTP_502"


def test_nobody_answering_is_said_with_the_address() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(Unavailable, match="http://platform"):
        client(refuse).tools()


def test_a_platform_that_is_not_ready_still_says_which_part_is_missing() -> None:
    api = client(lambda _: httpx.Response(503, json={"status": "starting", "parts": {"postgres": "ok"}}))

    assert api.health()["status"] == "starting"


def test_a_stream_ends_with_done_and_pings_have_no_id() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return stream(sse(1, "started"), "event: ping\ndata: {}\n\n", sse(2, "done", '{"reply":"ok"}'), sse(3, "late"))

    events = list(client(answer).follow(SESSION))

    assert [(event.id, event.type) for event in events] == [(1, "started"), (0, "ping"), (2, "done")]
    assert events[-1].data == {"reply": "ok"}


def test_line_separators_inside_json_do_not_split_an_event() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return stream(sse(1, "done", json.dumps({"reply": "a\u2028b\u0085c"}, ensure_ascii=False)))

    assert next(client(answer).follow(SESSION)).data == {"reply": "a\u2028b\u0085c"}


def test_a_broken_stream_is_resumed_after_the_last_event() -> None:
    asked: list[str] = []

    def broken() -> Iterator[bytes]:
        yield sse(4, "started").encode()
        raise httpx.ReadError("connection reset")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Last-Event-ID"])
        if len(asked) == 1:
            return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=broken())
        return stream(sse(5, "done"))

    events = list(client(answer).follow(SESSION, last_event_id=3))

    assert [event.type for event in events] == ["started", "done"]
    assert asked == ["3", "4"]


def test_a_stream_that_never_brings_anything_is_given_up() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Last-Event-ID"])
        return stream()

    with pytest.raises(Unavailable, match="ended before its run"):
        list(client(answer).follow(SESSION, reconnects=3))

    assert len(asked) == 4


def test_all_pages_of_tools_are_read() -> None:
    pages = {None: {"items": [{"name": "a"}], "nextCursor": "x"}, "x": {"items": [{"name": "b"}], "nextCursor": None}}
    api = client(lambda request: httpx.Response(200, json=pages[request.url.params.get("cursor")]))

    assert [tool["name"] for tool in api.tools()] == ["a", "b"]


def test_a_closed_session_that_was_seen_whole_has_an_empty_stream() -> None:
    assert list(client(lambda _: httpx.Response(204)).events(SESSION, 9)) == []
