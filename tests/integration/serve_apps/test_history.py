"""History, runs: what pollers and readers see."""

import httpx
import pytest

from models.events import EventType
from models.runs import RunStatus
from planvault.storage import history as history_storage
from planvault.storage.history import PAGE_BYTES
from serve_apps import paging
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant


async def test_history_shows_payload_fields_beside_the_events_own(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    run_id = await session.run(RunStatus.EXECUTING)
    await session.event(EventType.PROMPT, {"text": "hi"}, run_id=run_id)
    await session.event(EventType.SNAPSHOT, {"state": 1}, engine=True)
    await session.event(EventType.LLM_REPLY, {"content": "hello", "seq": 99, "payload": "own"}, run_id=run_id)
    answer = await client.get(f"{path}/history")
    assert answer.status_code == 200
    first, second = answer.json()["events"]
    assert (first["eventType"], first["seq"], first["text"], first["runId"]) == ("prompt", 1, "hi", str(run_id))
    assert first["payload"] == {"text": "hi"}
    assert first["createdAt"].endswith("+00:00")
    assert (second["eventType"], second["seq"], second["content"]) == ("llm_reply", 3, "hello")
    assert second["payload"] == {"content": "hello", "seq": 99, "payload": "own"}


async def test_a_poller_always_sees_the_newest_events_in_order(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    for number in range(1_005):
        await session.event(EventType.TOOL_START, {"n": number}, tell=False)
    await session.event(EventType.DONE, {})
    answer = (await client.get(f"{path}/history")).json()
    seqs = [event["seq"] for event in answer["events"]]
    assert len(seqs) == 1_000
    assert seqs == sorted(seqs)
    assert answer["events"][-1]["eventType"] == "done"
    older = (await client.get(f"{path}/history", params={"cursor": answer["olderCursor"]})).json()
    assert [event["seq"] for event in older["events"]] == list(range(1, 7))
    assert older["olderCursor"] is None


async def test_a_reader_pages_back_and_forth_without_gaps(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    for number in range(10):
        await session.event(EventType.TOOL_START, {"n": number})
    newest = (await client.get(f"{path}/history", params={"limit": 4})).json()
    older = (await client.get(f"{path}/history", params={"limit": 4, "cursor": newest["olderCursor"]})).json()
    newer = (await client.get(f"{path}/history", params={"limit": 4, "cursor": older["newerCursor"]})).json()
    assert [event["seq"] for event in older["events"]] == [3, 4, 5, 6]
    assert newer["events"] == newest["events"]
    at_the_end = (await client.get(f"{path}/history", params={"cursor": newest["newerCursor"]})).json()
    assert at_the_end["events"] == []
    await session.event(EventType.DONE, {})
    later = (await client.get(f"{path}/history", params={"cursor": at_the_end["newerCursor"]})).json()
    assert [event["eventType"] for event in later["events"]] == ["done"]


async def test_a_page_is_bounded_in_bytes_and_keeps_the_newest(
    client: httpx.AsyncClient, session: Recorder, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_storage, "PAGE_BYTES", 3_000)
    for number in range(5):
        await session.event(EventType.LLM_REPLY, {"n": number, "content": "x" * 1_000})
    answer = (await client.get(f"{path}/history")).json()
    assert [event["n"] for event in answer["events"]] == [3, 4]
    assert answer["olderCursor"] is not None
    monkeypatch.setattr(history_storage, "PAGE_BYTES", 10)
    assert [event["n"] for event in (await client.get(f"{path}/history")).json()["events"]] == [4]


@pytest.mark.parametrize("cursor", ["x", "!!!", "b2xkZXI6", "b2xkZXI6LTE", "b2xkZXI6OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
async def test_a_cursor_we_did_not_make_is_refused(client: httpx.AsyncClient, path: str, cursor: str) -> None:
    answer = await client.get(f"{path}/history", params={"cursor": cursor})
    assert answer.status_code == 422


async def test_an_event_moved_to_another_session_does_not_open(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, session: Recorder, path: str
) -> None:
    await session.event(EventType.LLM_REPLY, {"content": "mine"})
    await deps.database.execute(
        "UPDATE events SET payload = payload || '\\x00'::bytea WHERE session_id = $1", session.scope.session_id
    )
    answer = await client.get(f"{path}/history")
    assert answer.status_code == 500
    problem = answer.json()
    assert problem["type"] == "urn:planvault:problem:DECRYPTION_FAILED"
    assert str(session.scope.session_id) not in problem["detail"]


async def test_runs_show_status_hash_and_the_open_question(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    done = await session.run(RunStatus.COMPLETED, plan_hash="ab" * 32)
    waiting = await session.run(RunStatus.AWAITING_CONFIRMATION, pending={"kind": "plan", "tools": ["a"]})
    listed = (await client.get(f"{path}/runs")).json()
    assert [item["id"] for item in listed["items"]] == [str(waiting), str(done)]
    one = (await client.get(f"{path}/runs/{waiting}")).json()
    assert one == listed["items"][0]
    assert one["pending"] == {"kind": "plan", "tools": ["a"]}
    assert (one["status"], one["isOpen"], one["reason"]) == ("awaiting_confirmation", True, None)
    paged = (await client.get(f"{path}/runs", params={"limit": 1})).json()
    rest = (await client.get(f"{path}/runs", params={"limit": 1, "cursor": paged["nextCursor"]})).json()
    assert [item["id"] for item in rest["items"]] == [str(done)]
    assert rest["nextCursor"] is None


async def test_a_page_forward_is_bounded_in_bytes_and_the_next_goes_on_after_it(
    client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    for _ in range(4):
        await session.event(EventType.LLM_REPLY, {"content": "x" * (PAGE_BYTES // 3)})
    cursor, pages = paging.encode("newer:0"), []
    for _ in range(2):
        answer = (await client.get(f"{path}/history", params={"cursor": cursor})).json()
        pages.append([event["seq"] for event in answer["events"]])
        cursor = answer["newerCursor"]
    assert pages == [[1, 2], [3, 4]]
