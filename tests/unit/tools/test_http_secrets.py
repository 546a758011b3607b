"""What becomes of a call's secrets around a real request."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from models.ids import IntegrationId, OrgId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tools import HttpBinding, IntegrationState, Tool, ToolFailed, ToolSucceeded
from planvault.clock import SystemClock
from planvault.errors import NotFound
from planvault.net.client import GuardedHttp
from planvault.ports import CallTarget, ToolCall
from planvault.redact import MASK, Redactor
from planvault.tools.http import HttpExecutor
from tests.unit.net.servers import Received, response, serving

MINE, THEIRS = "canary-mine-0001", "canary-theirs-0002"
TOOL = Tool(
    id=ToolId(UUID(int=1)),
    org_id=OrgId(UUID(int=2)),
    integration_id=IntegrationId(UUID(int=3)),
    name="echo",
    group="shop",
    binding=HttpBinding(method="GET", path="/echo"),
)


async def lookup(name: str) -> str:
    if name != "TOKEN":
        raise NotFound
    return MINE


def call(base_url: str) -> ToolCall:
    state = IntegrationState(auth_headers={"Authorization": "Bearer {{secrets.TOKEN}}"})
    target = CallTarget(base_url, state, EgressPolicy(allow_loopback=True))
    return ToolCall(TOOL, {}, target, idempotency_key="k", attempt=1, limits=RunLimits(), secret=lookup)


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    client = GuardedHttp()
    yield client
    await client.aclose()


@pytest.mark.parametrize("status", ["200 OK", "500 Broken"])
async def test_a_service_that_echoes_our_secret_writes_it_nowhere(http: GuardedHttp, status: str) -> None:
    async def echo(received: Received, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"you_sent": received.headers["authorization"]}).encode()
        writer.write(response(status, body, Content_Type="application/json"))

    async with serving(echo) as server:
        outcome = await HttpExecutor(http, Redactor(), SystemClock()).execute(call(server.url("")))
        assert server.requests[0].headers["authorization"] == f"Bearer {MINE}"
    assert MINE not in outcome.model_dump_json()
    assert MASK in outcome.model_dump_json()


async def test_an_answer_does_not_tell_which_guesses_are_another_tenants_secrets(http: GuardedHttp) -> None:
    """Two tenants' calls meet in one process; a masked guess would say: somebody here uses this value."""

    async def guess(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(body=json.dumps([THEIRS, "wrong-guess"]).encode(), Content_Type="application/json"))

    process_wide = Redactor()
    async with serving(guess) as server:
        with process_wide.bound([THEIRS]):
            outcome = await HttpExecutor(http, process_wide, SystemClock()).execute(call(server.url("")))
    assert isinstance(outcome, ToolSucceeded)
    assert outcome.value == [THEIRS, "wrong-guess"]


async def test_log_lines_written_during_a_call_know_its_secrets_and_forget_them_after_it(http: GuardedHttp) -> None:
    redactor = Redactor()
    during: list[str] = []

    async def look(_: Received, writer: asyncio.StreamWriter) -> None:
        during.append(redactor.clean(MINE))
        writer.write(response(body=b"{}", Content_Type="application/json"))

    async with serving(look) as server:
        await HttpExecutor(http, redactor, SystemClock()).execute(call(server.url("")))
    assert during == [MASK]
    assert redactor.clean(MINE) == MINE


async def test_a_missing_secret_is_refused_before_anything_is_sent(http: GuardedHttp) -> None:
    async def nobody(name: str) -> str:
        raise NotFound(f"No secret named {name!r}")

    async with serving(look_nowhere) as server:
        asked = call(server.url(""))
        outcome = await HttpExecutor(http, Redactor(), SystemClock()).execute(
            ToolCall(TOOL, {}, asked.target, "k", 1, RunLimits(), nobody)
        )
        assert server.requests == []
    assert isinstance(outcome, ToolFailed)
    assert outcome.code == "SECRET_MISSING"


async def look_nowhere(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(response())


async def test_a_credential_that_a_template_spells_out_is_a_secret_of_the_call_as_well(http: GuardedHttp) -> None:
    async def echo(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(body=json.dumps(received.headers).encode(), Content_Type="application/json"))

    other = "a-credential-under-a-name-that-tells-nothing"
    headers = {"Authorization": f"Bearer {MINE}", "X-Api-Key": THEIRS, "X-Upstream": f"Bearer {other}"}
    headers["Accept"] = "application/json"
    async with serving(echo) as server:
        target = CallTarget(server.url(""), IntegrationState(auth_headers=headers), EgressPolicy(allow_loopback=True))
        outcome = await HttpExecutor(http, Redactor(), SystemClock()).execute(
            ToolCall(TOOL, {}, target, "k", 1, RunLimits(), lookup)
        )
        assert server.requests[0].headers["authorization"] == f"Bearer {MINE}"
    assert isinstance(outcome, ToolSucceeded)
    told = outcome.model_dump_json()
    assert MINE not in told
    assert THEIRS not in told
    assert other not in told
    assert "application/json" in told


async def test_an_answer_is_cleaned_of_the_secrets_of_the_runs_other_calls(http: GuardedHttp) -> None:
    async def tell(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response("400 Bad", f"it was {THEIRS}".encode()))

    async with serving(tell) as server:
        asked = replace(call(server.url("")), masked=(THEIRS,))
        outcome = await HttpExecutor(http, Redactor(), SystemClock()).execute(asked)
    assert isinstance(outcome, ToolFailed)
    assert THEIRS not in outcome.message
    assert MASK in outcome.message
