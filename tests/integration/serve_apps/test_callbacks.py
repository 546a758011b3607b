"""Services call back: every answer of the endpoint, and what the waiting run makes of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from models.ids import SessionId, TokenId
from models.plans import Lit, OnError, SecretRef
from models.tenants import SessionScope
from models.tools import Idempotency
from planvault.ports import ToolCall
from planvault.settings import Settings
from planvault.storage.pool import transaction
from planvault.storage.signals import Delivery
from tests.integration.runtime.harness import SHARDS, World, eventually
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Tenant
from tests.integration.serve_apps.pausing import Talk, talking
from tests.unit.engine.plans import call, plan, reply, var


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One keyset for the module's database: its hosts also look at what earlier tests left."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def settings(database_url: str, keys: Path) -> Settings:
    return Settings(database_url=database_url, data_dir=keys, admin_token_sha256=ADMIN.sha256.hex(), shards=SHARDS)


@pytest.fixture
def world() -> World:
    return World(waits())


@pytest.fixture
async def talk(deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, world: World) -> AsyncIterator[Talk]:
    async with talking(deps, tenant, client, world) as opened:
        yield opened


def waits(timeout_s: float = 600, **args: Any) -> Any:
    given = {"name": "paid", "timeoutSeconds": timeout_s, **args}
    wait = call("n1", "wait_for_signal", "x", OnError.FAIL, **{name: Lit(value=value) for name, value in given.items()})
    return plan(wait, reply(var("x")))


async def waiting(talk: Talk, **args: Any) -> dict[str, Any]:
    await talk.says("wait", waits(**args))
    await talk.is_at("awaiting_external_signal")
    return await talk.signal("paid")


async def post(client: httpx.AsyncClient, signal: dict[str, Any], body: Any, bearer: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {signal['bearerToken'] if bearer is None else bearer}"}
    return await client.post(signal["callbackPath"], json=body, headers=headers)


async def test_a_delivery_goes_on_with_its_payload_and_repeats_are_told_apart(
    talk: Talk, anonymous: httpx.AsyncClient
) -> None:
    signal = await waiting(talk)
    asked = (await talk.events("awaiting_signal"))[-1]
    assert asked["tokenId"] == signal["tokenId"]
    assert {"nodeId", "expiresAt", "onTimeout"} <= asked.keys()
    first = await post(anonymous, signal, {"amount": 7, "by": "Ada"})
    assert (first.status_code, first.json()) == (200, {})
    done = await talk.saw("done")
    assert done["reply"] == '{"amount":7,"by":"Ada"}'
    received = (await talk.events("signal_received"))[-1]
    assert received["payloadKeys"] == ["amount", "by"]
    assert "Ada" not in str(await talk.events("signal_received"))
    again = await post(anonymous, signal, {"by": "Ada", "amount": 7.0})
    assert (again.status_code, again.json()) == (200, {"code": "SIGNAL_ALREADY_DELIVERED"})
    other = await post(anonymous, signal, {"amount": 8})
    assert (other.status_code, other.json()["code"]) == (409, "SIGNAL_PAYLOAD_CONFLICT")
    assert (await talk.client.get(f"{talk.path}/signals")).json()["items"] == []


def _sent(authorization: str | None) -> dict[bytes, bytes]:
    return {} if authorization is None else {b"Authorization": authorization.encode()}


async def test_an_unknown_token_and_a_wrong_secret_answer_alike(
    talk: Talk, anonymous: httpx.AsyncClient, stranger: Tenant
) -> None:
    signal = await waiting(talk)
    token, secret = signal["bearerToken"].split(":")
    elsewhere = signal["callbackPath"].replace(talk.base, stranger.base)
    unknown = signal["callbackPath"].replace(token, str(stranger.scope.project_id))
    foreign = "00000000-0000-7000-8000-000000000000"
    nowhere = signal["callbackPath"].replace(talk.base, f"/api/v1/projects/{foreign}")
    answers = [
        await anonymous.post(path, json={}, headers=_sent(authorization))
        for path, authorization in [
            (signal["callbackPath"], f"Bearer {token}:{secret[:-1]}x"),
            (signal["callbackPath"], f"Bearer {token}:"),
            (signal["callbackPath"], f"Bearer {secret}"),
            (signal["callbackPath"], f"Basic {token}:{secret}"),
            (signal["callbackPath"], f"Bearer {token}:{secret}é"),
            (signal["callbackPath"], None),
            (signal["callbackPath"], talk.client.headers["Authorization"]),
            (elsewhere, f"Bearer {token}:{secret}"),
            (nowhere, f"Bearer {token}:{secret}"),
            (unknown, f"Bearer {stranger.scope.project_id}:{secret}"),
        ]
    ]
    bodies = [{key: value for key, value in answer.json().items() if key != "instance"} for answer in answers]
    assert {answer.status_code for answer in answers} == {404}
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["code"] == "SIGNAL_NOT_FOUND"
    assert (await talk.runs())[-1]["status"] == "awaiting_external_signal"


async def test_a_wrong_secret_waits_for_nothing_and_holds_nothing(
    talk: Talk, deps: ObservedDeps, tenant: Tenant, anonymous: httpx.AsyncClient
) -> None:
    """Token ids are public: whoever knows one must not get at the locks of its run."""
    signal = await waiting(talk)
    async with transaction(deps.database) as connection:
        await connection.execute("SELECT FROM signals WHERE token_id = $1 FOR UPDATE", UUID(signal["tokenId"]))
        async with asyncio.timeout(5):
            assert (await post(anonymous, signal, {}, bearer=f"{signal['tokenId']}:guess")).status_code == 404


async def test_after_its_time_a_signal_is_expired_and_the_run_follows_its_policy(
    talk: Talk, anonymous: httpx.AsyncClient
) -> None:
    signal = await waiting(talk, timeout_s=1, onTimeout="continue")
    done = await talk.saw("done")
    assert done["reply"] == "null"
    assert (await talk.events("signal_timed_out"))[-1]["policy"] == "continue"
    late = await post(anonymous, signal, {})
    assert (late.status_code, late.json()["code"]) == (410, "SIGNAL_EXPIRED")


async def test_a_cancelled_run_takes_no_signal(talk: Talk, anonymous: httpx.AsyncClient) -> None:
    signal = await waiting(talk)
    assert (await talk.acts(action="cancel")).status_code == 202
    await talk.is_at("cancelled")
    late = await post(anonymous, signal, {})
    assert (late.status_code, late.json()["code"]) == (410, "SIGNAL_EXPIRED")


async def test_only_a_plain_json_object_is_a_payload(talk: Talk, anonymous: httpx.AsyncClient) -> None:
    signal = await waiting(talk)
    bodies: list[Any] = [[], "text", 7, None, {"deep": 10**30}]
    for body in bodies:
        assert (await post(anonymous, signal, body)).status_code == 422, body
    assert (await post(anonymous, signal, {})).status_code == 200


async def test_a_payload_that_the_record_would_not_hold_is_refused(talk: Talk, anonymous: httpx.AsyncClient) -> None:
    signal = await waiting(talk)
    assert (await post(anonymous, signal, {"a": "x" * 300_000})).status_code == 413
    assert (await post(anonymous, signal, {"a": "x" * 200_000})).status_code == 200
    await talk.saw("done")


async def test_a_service_gets_url_and_token_in_a_call_and_may_answer_before_the_wait_begins(
    talk: Talk, anonymous: httpx.AsyncClient, world: World
) -> None:
    """The credential is bound by the executor: the plan holds a handle, the record and the history nothing of it."""
    sent: dict[str, str] = {}

    async def start_payment(asked: ToolCall) -> Any:
        sent["token"] = await asked.secret("signal_token_paid")
        sent["url"] = await asked.secret("signal_url_paid")
        answer = await anonymous.post(
            sent["url"], json={"ok": True}, headers={"Authorization": f"Bearer {sent['token']}"}
        )
        assert answer.status_code == 200, answer.text
        return {"id": 1}

    world.tool("start_payment", start_payment, Idempotency.NONE)
    start = call("n0", "start_payment", None, token=SecretRef(name="signal_token_paid"))
    await talk.says("pay", plan(start, *waits().body))
    done = await talk.saw("done")
    assert done["reply"] == '{"ok":true}'
    history = (await talk.client.get(f"{talk.path}/history")).text
    assert sent["token"].split(":")[1] not in history


async def test_one_of_many_deliveries_at_once_is_new(talk: Talk, anonymous: httpx.AsyncClient) -> None:
    signal = await waiting(talk)
    answers = await asyncio.gather(*(post(anonymous, signal, {"n": 1}) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(answer.json() == {} for answer in answers) == 1
    done = await talk.saw("done")
    assert done["reply"] == '{"n":1}'


async def test_what_was_answered_200_counts_however_close_to_the_end_it_came(
    talk: Talk, anonymous: httpx.AsyncClient
) -> None:
    """Deliveries hail down around the deadline. Whatever is answered with `{}` is what the run goes on with."""
    signal = await waiting(talk, timeout_s=1, onTimeout="continue")
    accepted: list[Any] = []

    async def knock(number: int) -> int:
        answer = await post(anonymous, signal, {"n": number})
        if answer.status_code == 200 and answer.json() == {}:
            accepted.append(number)
        return int(answer.status_code)

    left = datetime.fromisoformat(signal["expiresAt"]) - datetime.now(UTC)
    await asyncio.sleep(left.total_seconds() - 0.1)
    answers = {await knock(number) for number in range(20)}
    assert answers <= {200, 409, 410}
    done = await talk.saw("done")
    assert done["reply"] == (f'{{"n":{accepted[0]}}}' if accepted else "null")


async def test_only_who_may_write_to_the_session_learns_of_its_signals(
    talk: Talk, anonymous: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, stranger: Tenant
) -> None:
    """Its bearer token writes to the run that waits for it: whoever may only read is not given one."""
    await waiting(talk)
    assert (await anonymous.get(f"{talk.path}/signals")).status_code == 401
    assert (await anonymous.get(f"{talk.path}/signals", headers=stranger.auth)).status_code == 404
    for scope, status in (("hrn:project:session:history:read", 403), ("hrn:project:session:write", 200)):
        _, key = await deps.api_keys.create(tenant.scope, scope, [scope])
        auth = {"Authorization": f"Bearer {key.text}"}
        assert (await anonymous.get(f"{talk.path}/signals", headers=auth)).status_code == status


async def test_a_wait_that_closes_during_a_delivery_learns_of_it(
    talk: Talk, deps: ObservedDeps, tenant: Tenant
) -> None:
    """The token's row decides: the close waits for the delivery's commit, and counts it."""
    signal = await waiting(talk)
    token, secret = TokenId(UUID(signal["tokenId"])), signal["bearerToken"].split(":")[1]
    session = SessionScope(**tenant.scope.model_dump(), session_id=SessionId(UUID(talk.id)))
    async with transaction(deps.database) as connection:
        delivered = await deps.callbacks.deliver(connection, tenant.scope.project_id, token, secret, {"n": 1})
        closing = asyncio.create_task(deps.signals.close(session, token))
        await eventually(lambda: _waits_for_a_lock(deps), what="the close behind the delivery")
        assert not closing.done()
    assert delivered[0] is Delivery.ACCEPTED
    assert await closing is True
    done = await talk.saw("done")
    assert done["reply"] == '{"n":1}'


async def test_a_delivery_behind_the_close_is_too_late(talk: Talk, deps: ObservedDeps, tenant: Tenant) -> None:
    signal = await waiting(talk)
    session = SessionScope(**tenant.scope.model_dump(), session_id=SessionId(UUID(talk.id)))
    assert await deps.signals.close(session, TokenId(UUID(signal["tokenId"]))) is False
    assert (await post(talk.client, signal, {})).status_code == 410


async def _waits_for_a_lock(deps: ObservedDeps) -> bool:
    return bool(
        await deps.database.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database())"
        )
    )
