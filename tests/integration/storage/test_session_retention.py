"""Sessions go by their organisation's days, whole, and never while somebody uses them."""

from datetime import timedelta
from pathlib import Path

import pytest

from models.events import EventType
from models.tenants import OrgScope, SessionScope
from planvault.clock import SystemClock
from planvault.storage.pool import Pool
from planvault.storage.retention import Retention
from planvault.storage.session_retention import AgedSessions, audit_kept_for
from tests.integration.runtime.harness import Platform, World, open_platform
from tests.unit.engine.plans import TWO_CALLS

pytestmark = pytest.mark.postgres


@pytest.fixture
async def platform(pool: Pool, tmp_path: Path) -> Platform:
    await pool.execute("TRUNCATE organizations, sessions, events, hosts CASCADE")
    world = World(TWO_CALLS)
    world.tool("get", lambda call: {"email": "ada@example.com", "name": "Ada"})
    world.tool("send", lambda call: None)
    return await open_platform(pool, tmp_path, world)


async def talked(platform: Platform, days_ago: float) -> SessionScope:
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    await platform.pool.execute("DELETE FROM hosts")
    ago = timedelta(days=days_ago)
    for statement in (
        "UPDATE sessions SET updated_at = updated_at - $2::interval WHERE id = $1",
        "UPDATE runs SET updated_at = updated_at - $2::interval WHERE session_id = $1",
    ):
        await platform.pool.execute(statement, session.session_id, ago)
    return session


async def swept(platform: Platform) -> int:
    gone = await Retention(platform.pool, [AgedSessions(None)], SystemClock()).sweep()
    return gone["sessions"]


async def keeps(platform: Platform, session: SessionScope) -> bool:
    rows = await platform.pool.fetchval("SELECT count(*) FROM sessions WHERE id = $1", session.session_id)
    events = await platform.pool.fetchval("SELECT count(*) FROM events WHERE session_id = $1", session.session_id)
    assert bool(rows) == bool(events), "a session goes whole or not at all"
    return bool(rows)


async def test_a_session_goes_after_ninety_days_without_anything_happening_in_it(platform: Platform) -> None:
    old, young = await talked(platform, 91), await talked(platform, 89)
    assert await swept(platform) == 1
    assert not await keeps(platform, old)
    assert await keeps(platform, young)


async def test_the_organisation_says_how_many_days(platform: Platform) -> None:
    session = await talked(platform, 3)
    scope = OrgScope(org_id=session.org_id)
    assert await audit_kept_for(platform.pool, scope) == timedelta(days=365)
    settings = {"retention": {"sessions_days": 2, "audit_days": 30}}
    await platform.pool.execute("UPDATE organizations SET settings = settings || $1::jsonb", settings)
    assert await swept(platform) == 1
    assert not await keeps(platform, session)
    assert await audit_kept_for(platform.pool, scope) == timedelta(days=30)


@pytest.mark.parametrize(
    "use",
    [
        "UPDATE runs SET is_open = true WHERE session_id = $1",
        "UPDATE runs SET updated_at = now() WHERE session_id = $1",
        "UPDATE commands SET consumed_at = NULL WHERE session_id = $1",
        "INSERT INTO scheduled_jobs (id, org_id, project_id, target, session_id, payload, run_at, wake_at)"
        " SELECT id, org_id, project_id, 'resume_session', $1, '', now() + interval '1 day', now() + interval '1 day'"
        " FROM sessions WHERE id = $1",
    ],
    ids=["a run is open", "something ran lately", "a command waits", "a job will go on in it"],
)
async def test_a_session_in_use_stays_however_old(platform: Platform, use: str) -> None:
    session = await talked(platform, 400)
    await platform.pool.execute(use, session.session_id)
    assert await swept(platform) == 0
    assert await keeps(platform, session)


async def test_a_session_that_somebody_asks_of_at_this_moment_is_left(platform: Platform) -> None:
    session = await talked(platform, 400)
    async with platform.pool.acquire() as asking, asking.transaction():
        await asking.fetchval("SELECT id FROM sessions WHERE id = $1 FOR SHARE", session.session_id)
        assert await swept(platform) == 0
    assert await keeps(platform, session)
    assert await swept(platform) == 1
