"""What is made of a person or in a project at the moment of its end: it is seen and ended, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from models.policies import SessionSettings
from models.privacy import RequestKind, Target
from models.tenants import SessionScope
from planvault.errors import ErasureUnderWay, NotFound
from planvault.storage.api_keys import ApiKeys
from planvault.storage.pool import Connection, Pool
from planvault.storage.privacy import Draft, PrivacyRequests
from planvault.storage.projects import Projects
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.tenancy import scoped, within
from tests.integration.storage.key_room import IDS, KeyRoom

pytestmark = pytest.mark.postgres


async def nothing(_: Connection) -> None: ...


async def made(room: KeyRoom, connection: Connection, user: str | None = "ada") -> SessionScope:
    session = SessionScope(**room.project.model_dump(), session_id=IDS.new())
    draft = SessionDraft({}, {}, (), user, SessionSettings())
    sessions = Sessions(room.pool, room.ring, room.ring.pseudonym, 4)
    await sessions.insert(connection, room.project, session.session_id, draft)
    return session


async def erasure_of_ada(room: KeyRoom, connection: Connection) -> None:
    requests = PrivacyRequests(room.pool, room.ring, room.ring, IDS)
    person = await requests.person(room.org, "ada")
    draft = Draft(RequestKind.ERASURE, Target.EXTERNAL_USER, "t", external_user_id="ada")
    await requests.create(connection, room.scope, draft, person)


async def deletion(room: KeyRoom) -> None:
    await Projects(room.pool).delete(room.project, nothing)


async def status(room: KeyRoom, session: SessionScope) -> str:
    found: str = await scoped(room.pool, room.scope).fetchval(
        "SELECT status FROM sessions WHERE id = $1", session.session_id
    )
    return found


async def waits(pool: Pool, work: Awaitable[Any], lock: str = "advisory") -> asyncio.Task[Any]:
    """The work, begun, and waiting for a lock of this database: pg_locks says so."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(10):
        while not await pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = $1 AND NOT granted AND datname = current_database())",
            lock,
        ):
            assert not task.done(), "it did not wait"
            await asyncio.sleep(0.01)
    return task


async def in_its_own(room: KeyRoom, user: str | None = "ada") -> SessionScope:
    async with within(room.pool, room.scope) as connection:
        return await made(room, connection, user)


async def test_a_session_of_a_person_waits_for_the_erasure_that_is_being_asked_for_and_is_refused(pool: Pool) -> None:
    room = await KeyRoom.open(pool)
    async with within(pool, room.scope) as asking:
        await erasure_of_ada(room, asking)
        late = await waits(pool, in_its_own(room))
        await asyncio.wait_for(in_its_own(room, "bob"), 10)  # nobody else waits
    with pytest.raises(ErasureUnderWay):
        await late


async def test_an_erasure_waits_for_the_session_of_the_person_that_is_being_made_and_sees_it(pool: Pool) -> None:
    room = await KeyRoom.open(pool)
    seen = "SELECT count(*) FROM sessions WHERE external_user_hmac IS NOT NULL"

    async def ask() -> int:
        async with within(pool, room.scope) as asking:
            await erasure_of_ada(room, asking)
            count: int = await asking.fetchval(seen)
        return count

    before = await scoped(pool, room.scope).fetchval(seen)
    async with within(pool, room.scope) as making:
        await made(room, making)
        erasure = await waits(pool, ask())
    assert await erasure == before + 1


@pytest.mark.parametrize("user", ["ada", None])
async def test_nothing_is_made_in_a_project_that_was_just_deleted(pool: Pool, user: str | None) -> None:
    """A replica may believe for seconds that it is there."""
    room = await KeyRoom.open(pool)
    await deletion(room)
    with pytest.raises(NotFound):
        await in_its_own(room, user)


async def test_a_session_waits_for_the_deletion_of_its_project_and_is_refused(pool: Pool) -> None:
    room = await KeyRoom.open(pool)
    late: list[asyncio.Task[Any]] = []

    async def witness(_: Connection) -> None:
        late.append(await waits(pool, in_its_own(room)))

    await Projects(pool).delete(room.project, witness)
    with pytest.raises(NotFound):
        await late[0]


async def test_a_deletion_waits_for_the_session_that_is_being_made_and_closes_it(pool: Pool) -> None:
    room = await KeyRoom.open(pool)
    async with within(pool, room.scope) as making:
        session = await made(room, making)
        gone = await waits(pool, deletion(room))
    await gone
    assert await status(room, session) == "closed"


async def test_a_primary_key_waits_for_the_deletion_of_its_project_and_is_refused(pool: Pool) -> None:
    """It would open nothing now, and everything once the project is restored."""
    room = await KeyRoom.open(pool)
    late: list[asyncio.Task[Any]] = []

    async def witness(_: Connection) -> None:
        late.append(await waits(pool, ApiKeys(pool, IDS).create_primary(room.project), "transactionid"))

    await Projects(pool).delete(room.project, witness)
    with pytest.raises(NotFound):
        await late[0]
