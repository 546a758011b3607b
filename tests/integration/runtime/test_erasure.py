"""Erasure of people whose sessions are alive in a host: runs are stopped, and nothing is written of them again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.events import EventType
from models.ids import SessionId, shard_of
from models.policies import SessionSettings
from models.privacy import PrivacyRequest, RequestKind, RequestState, Stage, Target
from models.tenants import OrgScope, SessionScope
from planvault.clock import SystemClock
from planvault.ports import Append
from planvault.storage.audit import AuditErasure
from planvault.storage.blobs import Blobs
from planvault.storage.commands import Commands
from planvault.storage.files.folder import EventFolder
from planvault.storage.pool import Pool, Role, open_pool, transaction
from planvault.storage.privacy import Draft, PrivacyRequests
from planvault.storage.privacy_answers import AnswerErasure
from planvault.storage.privacy_erasure import Erasure, Patience
from planvault.storage.privacy_export import Exporter
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.session_store import SessionStore
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.tenancy import within
from tests.integration.runtime.harness import SHARDS, Platform, World, eventually, open_platform
from tests.unit.engine.plans import TWO_CALLS

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["postgres", "file"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "postgres" else tmp_path / "events"


@pytest.fixture
async def platform(pool: Pool, tmp_path: Path, folder: Path | None) -> Platform:
    await pool.execute("TRUNCATE organizations, sessions, events, hosts, erased_sessions, event_store CASCADE")
    world = World(TWO_CALLS)
    world.tool("get", lambda call: {"email": "ada@example.com", "name": "Ada"})
    world.tool("send", lambda call: None)
    platform = await open_platform(pool, tmp_path, world)
    platform.session_store = SessionStore(folder)
    await platform.session_store.claim(pool, platform.ids)
    return platform


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, name="privacy", maximum=4, role=Role.PLATFORM)
    yield opened
    await opened.close()


def working(platform: Platform, pool: Pool, folder: Path | None, patience: Patience) -> PrivacyWork:
    events = None if folder is None else EventFolder(folder)
    keyring, ids, clock = platform.keyring, platform.ids, SystemClock()
    erasure = Erasure(
        pool,
        keyring,
        Commands(pool, keyring, ids),
        AuditErasure(keyring, ids, clock),
        AnswerErasure(pool, keyring, None),
        events,
        patience,
    )
    return PrivacyWork(
        pool, keyring, erasure, Exporter(pool, keyring, Blobs(pool, keyring, ids), events, clock), clock, ids
    )


async def session_of(platform: Platform, who: str) -> SessionScope:
    sessions = Sessions(platform.pool, platform.keyring, platform.keyring.pseudonym, SHARDS)
    session_id = SessionId(platform.ids.new())
    async with transaction(platform.pool) as connection:
        draft = SessionDraft({}, {}, (), who, SessionSettings())
        await sessions.insert(connection, platform.scope, session_id, draft)
    return SessionScope(**platform.scope.model_dump(), session_id=session_id)


def requests(platform: Platform) -> PrivacyRequests:
    return PrivacyRequests(platform.pool, platform.keyring, platform.keyring, platform.ids)


async def asked(platform: Platform, who: str | None) -> PrivacyRequest:
    """An erasure of the person; of the whole project for None."""
    scope = OrgScope(org_id=platform.scope.org_id)
    person = await requests(platform).person(scope.org_id, who)
    async with within(platform.pool, scope) as connection:
        draft = Draft(RequestKind.ERASURE, Target.EXTERNAL_USER, "test", external_user_id=who)
        if who is None:
            draft = Draft(RequestKind.ERASURE, Target.PROJECT, "test", project_id=platform.scope.project_id)
        made, _ = await requests(platform).create(connection, scope, draft, person)
    return made


async def state_of(platform: Platform, request: PrivacyRequest) -> PrivacyRequest:
    return await requests(platform).get(OrgScope(org_id=platform.scope.org_id), request.kind, request.id)


async def finish(platform: Platform, work: PrivacyWork, request: PrivacyRequest) -> PrivacyRequest:
    async with asyncio.timeout(30):
        while (now := await state_of(platform, request)).is_open:
            if not await work.once(RequestKind.ERASURE, timedelta(milliseconds=20)):
                await asyncio.sleep(0.02)
    return now


async def rows(platform: Platform, session: SessionScope) -> int:
    tables = ("sessions", "events", "runs", "commands", "event_heads", "event_segments")
    counted = [
        await platform.pool.fetchval(
            f"SELECT count(*) FROM {table} WHERE {'id' if table == 'sessions' else 'session_id'} = $1",
            session.session_id,
        )
        for table in tables
    ]
    return sum(counted)


async def test_a_run_on_its_way_is_stopped_and_the_host_writes_nothing_of_it_again(
    platform: Platform, database: Pool, folder: Path | None
) -> None:
    release = asyncio.Event()

    async def slowly(call: Any) -> object:
        with suppress(asyncio.CancelledError):
            await release.wait()
        return {"email": "ada@example.com", "name": "Ada"}

    platform.world.answers["get"] = slowly
    work = working(platform, database, folder, Patience(grace=timedelta(seconds=3), settling=timedelta(seconds=0.5)))
    async with platform.host("a") as host:
        session, other = await session_of(platform, "ada"), await session_of(platform, "grace")
        await platform.says(session)
        await eventually(lambda: platform.world.calls, what="the call")
        request = await asked(platform, "ada")
        done = await finish(platform, work, request)
        release.set()
        assert done.state is RequestState.COMPLETED
        await eventually(lambda: session.session_id not in host._live, what="the host lets the session go")
        platform.world.answers["get"] = lambda call: {"email": "x@example.com", "name": "x"}
        await platform.says(other)  # the host goes on
        await platform.saw(other, EventType.DONE)
        assert await rows(platform, session) == 0
    if folder is not None:
        assert not EventFolder(folder).session(shard_of(session.session_id, SHARDS), session.session_id).exists()


async def test_what_a_host_holds_in_memory_cannot_be_appended_once_the_session_is_fenced(
    platform: Platform, database: Pool, folder: Path | None
) -> None:
    """The host is not asked to stop and notices nothing: the database alone keeps the record from coming back."""
    work = working(platform, database, folder, Patience(grace=timedelta(), settling=timedelta()))
    async with platform.host("a") as host:
        session = await platform.session()  # nobody's: no key of a person's is destroyed, which would refuse it too
        await platform.says(session)
        await eventually(lambda: session.session_id in host._live, what="the session is loaded")
        live = host._live[session.session_id]
        await platform.saw(session, EventType.DONE)
        newest = (await platform.record(session))[-1]
        request = await asked(platform, None)
        assert (await finish(platform, work, request)).state is RequestState.COMPLETED
        # Nothing but an event: no row of it refers to the session.
        event = replace(newest, seq=newest.seq + 1, type=EventType.PROMPT, payload={"content": "x"})
        with pytest.raises(Exception, match=r"erased|went on elsewhere"):
            await live._committer.commit(Append(session, live.lease, (event,)))
        assert await rows(platform, session) == 0


@pytest.mark.parametrize(
    "dies_after", [pytest.param(n, marks=() if n == 5 else pytest.mark.faults) for n in range(1, 10)]
)
async def test_an_erasure_that_is_killed_anywhere_is_finished_by_the_next_worker(
    platform: Platform, database: Pool, folder: Path | None, dies_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platform.host("a"):
        sessions = [await session_of(platform, "ada") for _ in range(2)]
        for session in sessions:
            await platform.says(session)
            await platform.saw(session, EventType.DONE)
    await platform.pool.execute("DELETE FROM hosts")
    monkeypatch.setattr("planvault.storage.privacy_erasure.SESSIONS_A_PAGE", 1)
    monkeypatch.setattr("planvault.storage.session_removal.EVENTS_A_PORTION", 10)
    request = await asked(platform, "ada")
    patience = Patience(grace=timedelta(), settling=timedelta())
    first = working(platform, database, folder, patience)
    steps, step = 0, first._erasure.step

    async def dying(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps > dies_after:
            raise asyncio.CancelledError  # in place of the process: nothing of ours runs after it
        return await step(*args)

    monkeypatch.setattr(first._erasure, "step", dying)
    with suppress(asyncio.CancelledError):
        while await first.once(RequestKind.ERASURE, timedelta()):
            pass
    await platform.pool.execute("UPDATE privacy_requests SET leased_until = now() - interval '1 second'")
    done = await finish(platform, working(platform, database, folder, patience), request)
    assert done.state is RequestState.COMPLETED
    assert done.counts["sessions"] == 2, "counted once, however often it was begun"
    assert done.attempts >= 2 or done.stage == Stage.TRACES_AGAIN
    assert [await rows(platform, session) for session in sessions] == [0, 0]
