"""The gateway against a scripted server over real HTTP."""

import json
import time

import pytest

from models.base import JsonObject
from planvault.errors import LlmFailed
from planvault.llm.choice import ModelChoice
from planvault.llm.gateway import Gateway
from planvault.llm.scripted import Cut, Hang, Refusal, ScriptedServer
from planvault.ports import LlmMessage, LlmRequest, Structure

KEY = "sk-canary-0123456789"
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def gateway(server: ScriptedServer, model: str = "some-model", timeout_s: float = 20.0) -> Gateway:
    return Gateway(ModelChoice(model, server.base_url, KEY), timeout_s=timeout_s)


def ask(schema: JsonObject | None = None, model: str | None = None) -> LlmRequest:
    return LlmRequest((LlmMessage("system", "Be brief."), LlmMessage("user", "Hello?")), schema=schema, model=model)


async def test_the_messages_the_key_and_the_strict_schema_reach_the_server() -> None:
    with ScriptedServer(['{"answer": "hi"}']) as server:
        answer = await gateway(server).complete(ask(SCHEMA))
    assert answer.text == '{"answer": "hi"}'
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.requests) == (7, 3, 1)
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "some-model"
    assert request.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert request.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "plan", "strict": True, "schema": SCHEMA},
    }


async def test_without_a_model_name_the_servers_first_model_is_used_and_asked_for_once() -> None:
    with ScriptedServer(["one", "two"], models=("org/first", "second")) as server:
        subject = gateway(server, model="")
        answer = await subject.complete(ask())
        await subject.complete(ask())
    assert answer.model == "openai/org/first"
    assert [request.body["model"] for request in server.requests] == ["org/first", "org/first"]


async def test_a_server_that_lists_no_model_is_a_clear_failure() -> None:
    with ScriptedServer(models=()) as server, pytest.raises(LlmFailed, match="set PLANVAULT_LLM_MODEL"):
        await gateway(server, model="").complete(ask())


async def test_a_refused_schema_is_asked_for_as_json_then_as_text_and_remembered() -> None:
    refused = Refusal(400, "response_format is not supported")
    with ScriptedServer([refused, refused, "first", "second"]) as server:
        subject = gateway(server)
        assert await subject.structure() is Structure.JSON_SCHEMA
        first = await subject.complete(ask(SCHEMA))
        assert await subject.structure() is Structure.NONE
        second = await subject.complete(ask(SCHEMA))
    assert (first.text, first.usage.requests) == ("first", 3)
    assert (second.text, second.usage.requests) == ("second", 1)
    forms = [request.body.get("response_format", {}) for request in server.requests]
    assert [form.get("type") if isinstance(form, dict) else form for form in forms] == [
        "json_schema",
        "json_object",
        None,
        None,
    ]


async def test_a_request_that_is_refused_in_every_form_teaches_nothing_about_structure() -> None:
    with ScriptedServer([Refusal(400, "bad prompt")] * 3) as server:
        subject = gateway(server)
        with pytest.raises(LlmFailed, match="bad prompt"):
            await subject.complete(ask(SCHEMA))
        assert await subject.structure() is Structure.JSON_SCHEMA


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 409])
async def test_an_error_is_not_retried_behind_our_back(status: int) -> None:
    with ScriptedServer([Refusal(status, "no"), "too late"]) as server:
        with pytest.raises(LlmFailed):
            await gateway(server).complete(ask())
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "check PLANVAULT_LLM_API_KEY"), (404, "does not know this model"), (429, "rate limit")]
)
async def test_a_failure_says_what_to_do_and_never_shows_the_key(status: int, advice: str) -> None:
    refusal = Refusal(status, f"Incorrect API key provided: {KEY}; Bearer {KEY}")
    with ScriptedServer([refusal]) as server, pytest.raises(LlmFailed, match=advice) as caught:
        await gateway(server).complete(ask())
    assert KEY not in caught.value.detail
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(("status", "may_help"), [(401, False), (403, False), (404, False), (429, True), (503, True)])
async def test_only_what_may_pass_by_itself_is_worth_another_try(status: int, may_help: bool) -> None:
    # A server that refuses everything: a 404 for the schema is asked again with less structure, and refused again.
    with ScriptedServer([Refusal(status, "no")] * 3) as server, pytest.raises(LlmFailed) as caught:
        await gateway(server).complete(ask())
    assert caught.value.retryable is may_help


async def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    with ScriptedServer() as server:
        gone = gateway(server)
    with pytest.raises(LlmFailed) as caught:
        await gone.complete(ask())
    assert caught.value.retryable


async def test_a_silent_server_is_given_up_on_at_the_timeout() -> None:
    with ScriptedServer([Hang()]) as server:
        started = time.monotonic()
        with pytest.raises(LlmFailed, match="did not answer in time"):
            await gateway(server, timeout_s=0.3).complete(ask())
        assert time.monotonic() - started < 10
        assert len(server.requests) == 1


async def test_a_server_that_is_not_there_is_a_clear_failure() -> None:
    with ScriptedServer() as server:
        gone = gateway(server)
    with pytest.raises(LlmFailed, match="could not be reached"):
        await gone.complete(ask())


async def test_an_answer_that_ran_out_of_tokens_says_so() -> None:
    with ScriptedServer([Cut('{"answer": "h')]) as server:
        answer = await gateway(server).complete(ask(SCHEMA))
    assert answer.truncated


async def test_what_the_redactor_knows_does_not_leave_the_process() -> None:
    with ScriptedServer(["ok"]) as server:
        subject = Gateway(
            ModelChoice("m", server.base_url), timeout_s=20, redact=lambda text: text.replace("Hello", "[redacted]")
        )
        await subject.complete(ask())
    assert "Hello" not in json.dumps(server.requests[0].body)


async def test_a_requests_model_is_addressed_at_the_same_server() -> None:
    with ScriptedServer(["ok"]) as server:
        await gateway(server).complete(ask(model="meta-llama/other"))
    assert server.requests[0].body["model"] == "meta-llama/other"


async def test_an_unknown_vendor_is_a_clear_failure() -> None:
    with pytest.raises(LlmFailed, match="nosuchvendor"):
        await Gateway(ModelChoice("nosuchvendor/model"), timeout_s=5).complete(ask(SCHEMA))
