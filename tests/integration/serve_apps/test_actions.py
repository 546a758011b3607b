"""Answers to open questions: accepted where a run asks, refused with a way out where none does."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from models.commands import Action
from models.runs import RunStatus
from planvault.storage.commands import command_seal
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant, open_session

HASH = "ab" * 32


async def last_action(deps: ObservedDeps, session: Recorder) -> tuple[str, Action]:
    row = await deps.database.fetchrow(
        "SELECT id, kind, payload FROM commands WHERE session_id = $1 ORDER BY seq DESC", session.scope.session_id
    )
    cipher = await deps.keyring.session_cipher(session.scope)
    return row["kind"], Action.model_validate_json(cipher.open(row["payload"], command_seal(session.scope, row["id"])))


async def test_an_approval_is_bound_to_the_run_that_asks_and_to_the_person(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    run_id = await session.run(RunStatus.AWAITING_CONFIRMATION, plan_hash=HASH)
    answer = await client.post(
        f"{path}/actions",
        json={"action": "approve", "planHash": HASH, "reason": "looks right"},
        headers={"X-Operator-Id": "ada"},
    )
    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "action": "approve", "runId": str(run_id)}
    kind, action = await last_action(deps, session)
    assert kind == "approve"
    assert (action.run_id, action.plan_hash, action.reason) == (run_id, HASH, "looks right")
    assert action.actor == "ada (key:primary)"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (RunStatus.AWAITING_CONFIRMATION, {"action": "reject", "reason": "no"}),
        (RunStatus.AWAITING_SLOTS, {"action": "cancel_slots"}),
        (RunStatus.AWAITING_SLOTS, {"action": "fill_slots", "values": {"city": "Oslo"}}),
        (RunStatus.NEEDS_MANUAL_RECOVERY, {"action": "resolve", "resolution": "mark_done", "result": {"id": 1}}),
        (RunStatus.NEEDS_MANUAL_RECOVERY, {"action": "resolve", "resolution": "fail"}),
        (RunStatus.EXECUTING, {"action": "cancel"}),
        (RunStatus.AWAITING_SLOTS, {"action": "cancel"}),
    ],
)
async def test_every_action_is_recorded_where_its_run_asks_for_it(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str, status: RunStatus, body: dict[str, Any]
) -> None:
    await session.run(status, pending={"kind": "x"})
    answer = await client.post(f"{path}/actions", json=body)
    assert answer.status_code == 202, answer.text
    kind, action = await last_action(deps, session)
    assert kind == body["action"]
    assert action.values == body.get("values", {})
    assert action.result == body.get("result")


@pytest.mark.parametrize(
    "body",
    [
        {"action": "approve"},
        {"action": "reject"},
        {"action": "cancel"},
        {"action": "fill_slots", "values": {"a": 1}},
        {"action": "cancel_slots"},
        {"action": "resolve", "resolution": "retry"},
        {"action": "approve_tool", "correlationId": "c"},
        {"action": "reject_tool", "correlationId": "c"},
    ],
)
async def test_nothing_pending_is_a_conflict_that_says_so(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str, body: dict[str, Any]
) -> None:
    await session.run(RunStatus.COMPLETED)
    answer = await client.post(f"{path}/actions", json=body)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:planvault:problem:CONFLICT"
    assert await last_count(deps, session) == 0


async def last_count(deps: ObservedDeps, session: Recorder) -> int:
    return int(
        await deps.database.fetchval("SELECT count(*) FROM commands WHERE session_id = $1", session.scope.session_id)
    )


async def test_an_action_for_another_state_says_what_the_run_is_doing(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.run(RunStatus.EXECUTING)
    answer = await client.post(f"{path}/actions", json={"action": "approve"})
    assert answer.status_code == 409
    assert "executing" in answer.json()["detail"]


async def test_an_approval_of_a_plan_that_has_changed_is_refused(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.run(RunStatus.AWAITING_CONFIRMATION, plan_hash=HASH)
    answer = await client.post(f"{path}/actions", json={"action": "approve", "planHash": "cd" * 32})
    assert answer.status_code == 409
    assert "changed" in answer.json()["detail"]


async def test_a_run_that_has_ended_is_a_conflict_and_one_that_never_was_is_not_found(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    ended = await session.run(RunStatus.COMPLETED)
    await session.run(RunStatus.AWAITING_CONFIRMATION)
    gone = await client.post(f"{path}/actions", json={"action": "approve", "runId": str(ended)})
    assert gone.status_code == 409
    unknown = await client.post(f"{path}/actions", json={"action": "approve", "runId": str(UUID(int=1))})
    assert unknown.status_code == 404


async def test_cancel_meets_a_prompt_that_no_host_has_taken_up_yet(client: httpx.AsyncClient, path: str) -> None:
    await client.post(f"{path}/messages", json={"message": "hi"})
    assert (await client.post(f"{path}/actions", json={"action": "cancel"})).status_code == 202
    early = await client.post(f"{path}/actions", json={"action": "approve"})
    assert early.status_code == 409
    assert "being taken up" in early.json()["detail"]


SLOTS = {
    "kind": "slots",
    "slots": [
        {"variable": "city", "prompt": "Which city?", "type": "string", "options": ["Oslo", "Rome"]},
        {"variable": "count", "prompt": "How many?", "type": "integer", "options": []},
    ],
}


async def test_slot_values_are_checked_against_the_question_and_every_fault_is_named(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.run(RunStatus.AWAITING_SLOTS, pending=SLOTS)
    wrong = await client.post(f"{path}/actions", json={"action": "fill_slots", "values": {"city": "Paris", "x": 1}})
    assert wrong.status_code == 422
    assert {error["pointer"] for error in wrong.json()["errors"]} == {"/values/city", "/values/count", "/values/x"}
    text = await client.post(f"{path}/actions", json={"action": "fill_slots", "values": {"city": "Oslo", "count": "2"}})
    assert text.status_code == 202, "forms send text"


@pytest.mark.parametrize(
    ("kind", "options", "value"),
    [
        ("integer", ["1", "2"], 3),
        ("integer", ["1", "2"], "3"),
        ("number", ["1", "2.5"], 2),
        ("boolean", ["True"], "no"),
    ],
)
async def test_a_value_that_was_not_offered_is_refused_whatever_its_type(
    client: httpx.AsyncClient, session: Recorder, path: str, kind: str, options: list[str], value: object
) -> None:
    slot = {"variable": "count", "prompt": "How many?", "type": kind, "options": options}
    await session.run(RunStatus.AWAITING_SLOTS, pending={"kind": "slots", "slots": [slot]})
    answer = await client.post(f"{path}/actions", json={"action": "fill_slots", "values": {"count": value}})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/values/count"]


async def test_options_shown_as_text_do_not_refuse_a_number_that_was_offered(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    slot = {"variable": "count", "prompt": "How many?", "type": "integer", "options": ["1", "2"]}
    await session.run(RunStatus.AWAITING_SLOTS, pending={"kind": "slots", "slots": [slot]})
    answer = await client.post(f"{path}/actions", json={"action": "fill_slots", "values": {"count": "2"}})
    assert answer.status_code == 202


@pytest.mark.parametrize(("opens", "status"), [("2999-01-01T00:00:00+00:00", 409), ("2020-01-01T00:00:00+00:00", 202)])
async def test_a_retry_waits_until_the_first_request_cannot_arrive_any_more(
    client: httpx.AsyncClient, session: Recorder, path: str, opens: str, status: int
) -> None:
    await session.run(RunStatus.NEEDS_MANUAL_RECOVERY, pending={"kind": "recovery", "retryNotBefore": opens})
    answer = await client.post(f"{path}/actions", json={"action": "resolve", "resolution": "retry"})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "fill_slots"}, "/values"),
        ({"action": "resolve"}, "/resolution"),
        ({"action": "explode"}, "/action"),
        ({"action": "approve", "planHash": "zz"}, "/planHash"),
        ({"action": "approve", "runId": "nope"}, "/runId"),
        ({"action": "approve", "run_id": str(UUID(int=1))}, "/run_id"),
        ({}, "/action"),
    ],
)
async def test_an_incomplete_action_is_answered_with_a_pointer(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(f"{path}/actions", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_an_action_repeated_with_its_key_is_one_command(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.run(RunStatus.AWAITING_CONFIRMATION)
    headers = {"Idempotency-Key": "approve-1"}
    answers = [await client.post(f"{path}/actions", json={"action": "approve"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert await last_count(deps, session) == 1


async def test_more_answers_at_once_than_there_are_connections_are_all_taken(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    """An answer that names its run may not wait for a second connection while it holds one."""
    count = 2 * deps.pool.get_max_size()
    sessions = [await open_session(deps, client, tenant) for _ in range(count)]
    runs = [await session.run(RunStatus.AWAITING_CONFIRMATION, plan_hash=HASH) for session in sessions]

    async def approve(session: Recorder, run_id: UUID) -> int:
        url = f"{tenant.base}/sessions/{session.scope.session_id}/actions"
        return (await client.post(url, json={"action": "approve", "runId": str(run_id)})).status_code

    async with asyncio.timeout(20):
        answers = await asyncio.gather(*map(approve, sessions, runs))
    assert answers == [202] * count
