"""An answer that lasts ends with the right to it, over a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import cast

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from planvault.auth import authenticator, tenancy
from planvault.auth.permissions import Tenancy
from planvault.auth.principals import Principal, PrincipalKind, admin_token
from planvault.errors import IssuerUnavailable, NotAllowed, NotAuthenticated, NotFound, PlanVaultError
from serve_apps.access import lasting
from serve_apps.access.gate import Gatekeeper, enforce
from serve_apps.access.lasting import while_admitted
from serve_apps.access.policy import Rule
from tests.integration.serve_apps.access.cast import Who, World, make_world
from tests.integration.serve_apps.conftest import ObservedDeps
from tests.integration.serve_apps.live import Sse, events, listening, serving

READER = "key with hrn:project:session:history:read"


def test_what_a_replica_remembers_and_when_a_stream_asks_keep_the_promise_of_five_seconds() -> None:
    assert max(authenticator.CACHE_S, tenancy.CACHE_S) + lasting.ASK_EVERY_S < 5


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "ASK_EVERY_S", 0.02)


@pytest.fixture
async def world(often: None, deps: ObservedDeps, monkeypatch: pytest.MonkeyPatch) -> World:
    """Nothing is remembered here."""
    monkeypatch.setattr(authenticator, "CACHE_S", 0.0)
    monkeypatch.setattr(tenancy, "CACHE_S", 0.0)
    return await make_world(deps)


async def test_a_stream_in_which_nothing_happens_ends_for_who_may_no_longer_read_it(world: World) -> None:
    """A revoked key, a revoked service token, a removed member, one by one; then the project, for all who are left."""
    project = f"/admin/v1/orgs/{world.home.org_id}/projects/{world.home.project_id}"
    all_keys, staff = world.cast["key with everything"], world.cast["person developer"]
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(world.deps))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        sessions = f"/api/v1/projects/{world.home.project_id}/sessions"
        made = await http.post(sessions, json={}, headers=all_keys.headers)
        path = f"{sessions}/{made.json()['id']}/chat"
        gone = await taken_away(http, world)
        viewers = [*(who for who, _, _ in gone), all_keys, staff]
        streams = {who.name: await viewing(stack, http, path, who) for who in viewers}
        for who, place, then in [*gone, (all_keys, project, 401), (staff, "", 404)]:
            if place:
                await http.delete(place, headers=world.cast["the admin token"].headers)
            async with asyncio.timeout(5):
                assert [event async for event in streams.pop(who.name)] == []
            assert (await http.get(path, headers=who.headers)).status_code == then, who.name
            if place != project:
                assert world.deps.feed.viewers >= len(streams)  # the others go on
        assert world.deps.feed.viewers == 0


async def taken_away(http: httpx.AsyncClient, world: World) -> list[tuple[Who, str, int]]:
    """Whose right ends, by deleting what, and what they are answered then."""
    org, admin = f"/admin/v1/orgs/{world.home.org_id}", world.cast["the admin token"].headers

    async def place(listed: str, name: str, value: str, key: str = "id") -> str:
        items = (await http.get(f"{org}/{listed}", headers=admin)).json()["items"]
        return f"{org}/{listed}/{next(item[key] for item in items if item[name] == value)}"

    keys = f"projects/{world.home.project_id}/keys"
    return [
        (world.cast[READER], await place(keys, "name", READER), 401),
        (world.cast["service member"], await place("service-tokens", "name", "member"), 401),
        (world.cast["person member"], await place("members", "email", "member@example.com", "userId"), 404),
    ]


async def viewing(stack: AsyncExitStack, http: httpx.AsyncClient, path: str, who: Who) -> AsyncIterator[Sse]:
    response = await stack.enter_async_context(http.stream("GET", path, headers=who.headers))
    assert response.status_code == 200, who.name
    return events(response)


# ── any answer ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def endless() -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.Event().wait()


def guarded(answer: Response, said: Iterator[bool | Exception]) -> ASGIApp:
    async def again() -> bool:
        match next(said):
            case bool() as allowed:
                return allowed
            case fault:
                raise fault

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await while_admitted(again, answer, scope, receive, send)

    return app


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("length", [{}, {"Content-Length": "1000"}])
async def test_half_a_download_never_passes_for_a_whole_one(length: dict[str, str]) -> None:
    answer = StreamingResponse(endless(), media_type="application/zip", headers=length)
    async with listening(guarded(answer, iter([True, False]))) as url, httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(url)


@pytest.mark.usefixtures("often")
async def test_a_database_that_is_away_ends_no_stream_and_what_is_said_afterwards_does() -> None:
    said: Iterator[bool | Exception] = iter([asyncpg.CannotConnectNowError(), ConnectionRefusedError(), True, False])
    answer = StreamingResponse(endless(), media_type="text/event-stream")
    async with listening(guarded(answer, said)) as url, httpx.AsyncClient() as http:
        assert (await http.get(url)).content == b"first"
    assert next(said, None) is None


@pytest.mark.usefixtures("often")
async def test_who_cannot_be_asked_for_another_reason_ends_the_stream_and_that_is_told() -> None:
    answer = StreamingResponse(endless(), media_type="application/zip")
    faults: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await guarded(answer, iter([LookupError("a mistake of ours")]))(scope, receive, send)
        except LookupError as fault:
            faults.append(fault)

    async with listening(app) as url, httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(url)
    assert len(faults) == 1


@pytest.mark.usefixtures("often")
async def test_an_answers_own_time_limit_is_not_taken_for_a_lost_right() -> None:
    async def late() -> AsyncIterator[bytes]:
        yield b"first"
        raise TimeoutError

    async def drop(_: object) -> None: ...

    answer = StreamingResponse(late(), media_type="text/event-stream")
    with capture_logs() as logs, pytest.raises(TimeoutError):
        await guarded(answer, iter([True]))({"type": "http", "method": "GET", "path": "/"}, asyncio.Event().wait, drop)  # type: ignore[arg-type]
    assert logs == []


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("later", [False, True])
async def test_an_answer_that_ends_in_the_very_turn_in_which_the_right_does_is_ended_once(later: bool) -> None:
    """Before anybody hears that the right has ended, or between that and the end which it brings."""
    loop = asyncio.get_running_loop()
    refused, told, done, faults = asyncio.Event(), [], [], []

    async def again() -> bool:
        if later:
            loop.call_soon(refused.set)
        else:
            refused.set()
        return False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await refused.wait()
        await send({"type": "http.response.body", "body": b"last", "more_body": False})
        for turn in range(3):
            await asyncio.sleep(0)
            done.append(turn)

    async def send(message: Message) -> None:
        told.append(message.get("body"))

    loop.set_exception_handler(lambda _, fault: faults.append(fault))
    with capture_logs():
        await while_admitted(again, app, {"type": "http", "path": "/"}, asyncio.Event().wait, send)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert told == [None, b"first", b"last"]
    assert faults == []
    assert later or len(done) == 3  # what follows an answer is not broken off


@pytest.mark.usefixtures("often")
async def test_an_answer_that_fails_in_the_very_turn_in_which_the_right_ends_tells_its_own_fault() -> None:
    refused, faults = asyncio.Event(), []

    async def again() -> bool:
        refused.set()
        return False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await refused.wait()
        raise LookupError

    async def drop(_: object) -> None: ...

    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    with pytest.raises(LookupError):
        await while_admitted(again, app, {"type": "http", "path": "/"}, asyncio.Event().wait, drop)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert faults == []


@pytest.mark.usefixtures("often")
async def test_a_viewer_that_takes_nothing_any_more_holds_nothing_up_when_its_right_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lasting, "_FAREWELL_S", 0.02)
    answer = guarded(StreamingResponse(endless(), media_type="text/event-stream"), iter([False]))

    async def stalled(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(5):
        with capture_logs() as logs:
            await answer({"type": "http", "path": "/"}, asyncio.Event().wait, stalled)  # type: ignore[arg-type]
    assert [log["event"] for log in logs] == ["access_ended", "viewer_stalled"]


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("refusal", [NotAuthenticated, NotAllowed, NotFound, IssuerUnavailable])
async def test_a_stream_ends_as_one_that_is_over_whatever_its_viewer_would_be_answered_now(
    refusal: type[PlanVaultError],
) -> None:
    """Also where the issuer, which has withdrawn a key since, cannot be asked: coming back would be a 503."""
    admitted = iter([admin_token()])

    class Door:
        async def authenticate(self, authorization: str | None) -> Principal:
            for principal in admitted:
                return principal
            raise refusal

    app = FastAPI(openapi_url=None)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(endless(), media_type="text/event-stream")

    nowhere = cast("Tenancy", None)  # the route names no organisation
    enforce(app, [Rule("GET", "/stream", frozenset({PrincipalKind.ADMIN}))], lambda _: Gatekeeper(Door(), nowhere))
    async with listening(app) as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/stream")).content == b"first"
