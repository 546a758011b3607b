"""The live stream of a session, over a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from models.events import EventType
from planvault.auth import authenticator
from serve_apps.routes import chat as chat_route
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant
from tests.integration.serve_apps.live import Sse, events, serving, take


@pytest.fixture
async def live(deps: ObservedDeps, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(deps) as url, httpx.AsyncClient(base_url=url, headers=tenant.auth, timeout=20) as client:
        yield client


@asynccontextmanager
async def viewing(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None
) -> AsyncIterator[AsyncIterator[Sse]]:
    async with client.stream("GET", f"{path}/chat", headers=headers or {}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response)


async def test_a_viewer_gets_what_happened_before_and_what_happens_after(
    live: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.event(EventType.STARTED, {"runId": "r", "planGraph": {"nodes": []}})
    async with viewing(live, path) as stream:
        (first,) = await take(stream, 1)
        assert first == Sse("started", "1", {"runId": "r", "planGraph": {"nodes": []}})
        await session.event(EventType.TOOL_START, {"tool": "get_order", "nodeId": "n1", "attempt": 1})
        await session.event(EventType.DONE, {"runId": "r", "status": "completed", "reply": "two\nlines \u2028 é"})
        second, third = await take(stream, 2)
    assert (second.event, second.id) == ("tool_start", "2")
    assert third.data["reply"] == "two\nlines \u2028 é"


async def test_engine_and_history_only_events_are_not_streamed_but_move_the_position(
    live: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.event(EventType.SNAPSHOT, {}, engine=True)
    await session.event(EventType.PROMPT, {"text": "hi"})
    await session.event(EventType.TOOL_SELECTION, {})
    await session.event(EventType.RUN_PHASE, {"phase": "planner_llm", "detail": ""})
    await session.event(EventType.LLM_REPLY, {"content": "hello"})
    await session.event(EventType.DONE, {"runId": "r"})
    async with viewing(live, path) as stream:
        got = await take(stream, 2)
    assert [(event.event, event.id) for event in got] == [("run_phase", "4"), ("done", "6")]


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_viewer_resumes_after_the_last_event_it_saw(
    live: httpx.AsyncClient, session: Recorder, path: str, how: str
) -> None:
    for number in range(5):
        await session.event(EventType.TOOL_START, {"tool": f"t{number}"})
    headers = {"Last-Event-ID": "3"} if how == "header" else {}
    url = f"{path}/chat" + ("?lastEventId=3" if how == "query" else "")
    async with live.stream("GET", url, headers=headers) as response:
        got = await take(events(response), 2)
    assert [event.id for event in got] == ["4", "5"]


async def test_many_viewers_of_one_session_each_get_every_event_in_order(
    live: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    async def view() -> list[str | None]:
        async with viewing(live, path) as stream:
            return [event.id for event in await take(stream, 20)]

    async def record() -> None:
        for number in range(20):
            await session.event(EventType.TOOL_START, {"tool": f"t{number}"})

    *seen, _ = await asyncio.gather(*(view() for _ in range(10)), record())
    assert seen == [[str(seq) for seq in range(1, 21)]] * 10


async def test_events_arrive_by_the_poll_when_no_notification_comes(
    live: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.event(EventType.STARTED, {})
    async with viewing(live, path) as stream:
        await take(stream, 1)
        await session.event(EventType.DONE, {}, tell=False)
        assert (await take(stream, 1, within_s=5))[0].event == "done"


async def test_the_listener_comes_back_after_its_connection_is_killed(
    live: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str
) -> None:
    await session.event(EventType.STARTED, {})
    listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    async with viewing(live, path) as stream:
        await take(stream, 1)
        async with asyncio.timeout(10):
            while not (before := await deps.database.fetchval(listening)):
                await asyncio.sleep(0.02)
            await deps.database.execute("SELECT pg_terminate_backend($1)", before)
            while (await deps.database.fetchval(listening)) in (None, before):
                await asyncio.sleep(0.02)
        await session.event(EventType.DONE, {})
        assert (await take(stream, 1))[0].event == "done"


async def test_a_silent_stream_is_kept_open_by_pings(
    live: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_route, "PING_S", 0.05)
    async with viewing(live, path) as stream, asyncio.timeout(5):
        assert (await anext(stream)) == Sse("ping", None, {})


async def test_a_viewer_that_leaves_is_forgotten(
    live: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str
) -> None:
    await session.event(EventType.STARTED, {})
    async with viewing(live, path) as stream:
        await take(stream, 1)
        assert deps.feed.viewers == 1
    async with asyncio.timeout(10):
        while deps.feed.viewers:
            await asyncio.sleep(0.01)


async def test_the_stream_of_a_closed_session_ends_when_all_is_told_and_is_not_to_be_resumed(
    live: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    await session.event(EventType.DONE, {})
    async with viewing(live, path) as stream:
        await take(stream, 1)
        await live.patch(path, json={"status": "closed"})
        await session.consume_commands()
        await session.event(EventType.SESSION_CLOSED, {}, engine=True)
        async with asyncio.timeout(10):
            assert [event async for event in stream if event.event != "ping"] == []
    again = await live.get(f"{path}/chat", headers={"Last-Event-ID": "1"})
    assert again.status_code == 204


@pytest.mark.parametrize("position", ["abc", "-1", "1.5", "٣", "9" * 40])
async def test_a_position_that_is_no_event_id_is_refused(live: httpx.AsyncClient, path: str, position: str) -> None:
    answer = await live.get(f"{path}/chat", params={"lastEventId": position})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_events_arrive_by_the_poll_however_often_other_sessions_are_announced(
    live: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str
) -> None:
    """A host killed between its commit and its notification tells nobody; the others go on telling."""
    other = str((session.shard + 1) % deps.settings.shards)

    async def announce() -> None:
        while True:
            await deps.database.execute("SELECT pg_notify('planvault_history', $1)", other)
            await asyncio.sleep(0.05)

    await session.event(EventType.STARTED, {})
    async with viewing(live, path) as stream:
        await take(stream, 1)
        announcing = asyncio.create_task(announce())
        try:
            await session.event(EventType.DONE, {}, tell=False)
            assert (await take(stream, 1, within_s=5))[0].event == "done"
        finally:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)


async def test_a_position_beyond_the_end_is_the_end(live: httpx.AsyncClient, session: Recorder, path: str) -> None:
    await session.event(EventType.STARTED, {})
    async with viewing(live, path, {"Last-Event-ID": "500"}) as stream:
        await session.event(EventType.DONE, {})
        assert [(event.event, event.id) for event in await take(stream, 1)] == [("done", "2")]


@pytest.fixture
def uncached_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first request: what is remembered keeps its time."""
    monkeypatch.setattr(authenticator, "CACHE_S", 0.0)


@pytest.mark.usefixtures("uncached_keys")
async def test_a_revoked_key_reads_no_further(
    live: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant, session: Recorder, path: str
) -> None:
    await session.event(EventType.STARTED, {})
    async with viewing(live, path) as stream:
        await take(stream, 1)
        (key,) = await deps.api_keys.all(tenant.scope)
        await deps.api_keys.revoke(tenant.scope, key.id)
        await session.event(EventType.DONE, {"reply": "for others"})
        async with asyncio.timeout(10):
            assert [event async for event in stream if event.event != "ping"] == []
    assert (await live.get(f"{path}/chat")).status_code == 401


async def test_a_viewer_that_takes_nothing_is_let_go_and_is_no_crash(
    live: httpx.AsyncClient, deps: ObservedDeps, session: Recorder, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_route, "STALLED_S", 0.2)
    for _ in range(24):  # more than the sockets between the two hold
        await session.event(EventType.DONE, {"reply": "x" * 1_000_000})
    with capture_logs() as logs:
        async with live.stream("GET", f"{path}/chat") as response, asyncio.timeout(15):
            assert response.status_code == 200
            while not logs:
                await asyncio.sleep(0.01)
    assert [(line["event"], line["log_level"]) for line in logs] == [("viewer_stalled", "info")]
    assert deps.feed.viewers == 0
