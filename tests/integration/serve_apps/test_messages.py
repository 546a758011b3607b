"""Prompts and their idempotency: what is answered is recorded, once."""

import asyncio

import httpx
import orjson
import pytest

from models.commands import CommandKind, Message
from planvault.storage import commands as commands_storage
from planvault.storage.commands import command_seal
from planvault.storage.idempotency import Answer, AnswerScope, IdempotencyKey
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant, open_session


async def commands_of(deps: ObservedDeps, session: Recorder) -> list[tuple[str, Message]]:
    rows = await deps.database.fetch(
        "SELECT id, kind, shard, payload FROM commands WHERE session_id = $1 ORDER BY seq", session.scope.session_id
    )
    cipher = await deps.keyring.session_cipher(session.scope)
    assert all(row["shard"] == session.shard for row in rows)
    return [
        (row["kind"], Message.model_validate_json(cipher.open(row["payload"], command_seal(session.scope, row["id"]))))
        for row in rows
    ]


async def test_a_prompt_becomes_a_sealed_command_and_an_answer_at_once(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    answer = await client.post(f"{path}/messages", json={"message": "Say hello in one short sentence."})
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    ((kind, message),) = await commands_of(deps, session)
    assert kind == CommandKind.MESSAGE
    assert (str(message.message_id), message.text) == (answer.json()["messageId"], "Say hello in one short sentence.")
    stored = await deps.database.fetchval(
        "SELECT payload FROM commands WHERE session_id = $1", session.scope.session_id
    )
    assert b"hello" not in stored


async def test_the_owner_of_the_shard_is_woken_after_the_command_is_there(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    woken: asyncio.Queue[str] = asyncio.Queue()
    async with deps.database.acquire() as connection:
        await connection.add_listener("planvault_commands", lambda *args: woken.put_nowait(args[3]))
        await client.post(f"{path}/messages", json={"message": "hi"})
        assert await asyncio.wait_for(woken.get(), 5) == str(session.shard)
        await connection.reset()


async def test_the_same_key_and_body_get_the_same_answer_and_one_command(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    answers = [
        await client.post(f"{path}/messages", json={"message": "hi"}, headers={"Idempotency-Key": "k-1"})
        for _ in range(3)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len(await commands_of(deps, session)) == 1


async def test_a_key_used_with_another_body_is_refused(client: httpx.AsyncClient, path: str) -> None:
    headers = {"Idempotency-Key": "k-2"}
    await client.post(f"{path}/messages", json={"message": "one"}, headers=headers)
    refused = await client.post(f"{path}/messages", json={"message": "two"}, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:planvault:problem:IDEMPOTENCY_KEY_REUSED"


async def test_a_key_names_one_call_of_one_session(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, session: Recorder, path: str
) -> None:
    other = await open_session(deps, client, tenant)
    headers = {"Idempotency-Key": "shared"}
    first = await client.post(f"{path}/messages", json={"message": "hi"}, headers=headers)
    second = await client.post(
        f"{tenant.base}/sessions/{other.scope.session_id}/messages", json={"message": "hi"}, headers=headers
    )
    assert first.json()["messageId"] != second.json()["messageId"]


async def test_a_key_whose_request_is_still_being_answered_is_refused_as_in_flight(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    url = f"{path}/messages"
    lock = f"{session.scope.project_id}:POST {url}:busy"
    async with deps.database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7501))", lock)
        refused = await client.post(url, json={"message": "hi"}, headers={"Idempotency-Key": "busy"})
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:planvault:problem:IDEMPOTENCY_IN_FLIGHT"
    again = await client.post(url, json={"message": "hi"}, headers={"Idempotency-Key": "busy"})
    assert again.status_code == 202


async def test_concurrent_requests_with_one_key_leave_one_command(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    answers = await asyncio.gather(
        *(
            client.post(f"{path}/messages", json={"message": "hi"}, headers={"Idempotency-Key": "race"})
            for _ in range(12)
        )
    )
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
    assert len(await commands_of(deps, session)) == 1


async def test_a_kept_answer_is_sealed_and_forgotten_after_a_day(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    headers = {"Idempotency-Key": "old"}
    first = await client.post(f"{path}/messages", json={"message": "hi"}, headers=headers)
    kept = await deps.database.fetchval("SELECT answer FROM idempotency WHERE key = 'old'")
    assert first.json()["messageId"].encode() not in kept
    await deps.database.execute("UPDATE idempotency SET created_at = now() - interval '25 hours' WHERE key = 'old'")
    second = await client.post(f"{path}/messages", json={"message": "another body"}, headers=headers)
    assert second.status_code == 202
    assert len(await commands_of(deps, session)) == 2


async def test_a_prompt_is_accepted_though_its_owner_cannot_be_woken(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded by then: a caller told otherwise would send it twice."""
    await deps.database.execute(
        "CREATE FUNCTION ends_here() RETURNS boolean LANGUAGE sql SECURITY DEFINER "
        "RETURN pg_terminate_backend(pg_backend_pid())"
    )
    fatal = "SELECT ends_here(), $1::integer"
    monkeypatch.setattr(commands_storage, "_SQL", {**commands_storage._SQL, "wake": fatal})
    answer = await client.post(f"{path}/messages", json={"message": "hi"})
    assert answer.status_code == 202
    assert len(await commands_of(deps, session)) == 1


async def test_a_failed_request_keeps_no_answer(client: httpx.AsyncClient, path: str) -> None:
    headers = {"Idempotency-Key": "later-right"}
    refused = await client.post(f"{path}/actions", json={"action": "approve"}, headers=headers)
    assert refused.status_code == 409
    again = await client.post(f"{path}/actions", json={"action": "reject"}, headers=headers)
    assert again.json()["type"] == "urn:planvault:problem:CONFLICT"


async def test_a_kept_answer_opens_only_for_its_own_key(deps: ObservedDeps, session: Recorder) -> None:
    """The storage's contract, below HTTP: a body of None is kept as well."""
    scope = AnswerScope(session.scope.org_id, session.scope.project_id)
    key = IdempotencyKey("PUT /x", "k", b"1" * 32)

    async def work(_: object) -> Answer:
        return Answer(204)

    assert await deps.idempotency.once(scope, key, work) == Answer(204)
    assert await deps.idempotency.once(scope, key, work) == Answer(204)


@pytest.mark.parametrize("key", ["", "with space", "é", "x" * 256])
async def test_a_malformed_key_is_refused(client: httpx.AsyncClient, path: str, key: str) -> None:
    answer = await client.post(
        f"{path}/messages", json={"message": "hi"}, headers={"Idempotency-Key": key.encode("utf-8")}
    )
    assert answer.status_code == 422
    assert "Idempotency-Key" in orjson.loads(answer.content)["errors"][0]["detail"]
