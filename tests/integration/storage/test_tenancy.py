"""The second wall: what a connection of the product sees and changes is one organisation's, and nothing without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from models.ids import OrgId
from models.tenants import Organization, OrgScope
from planvault.clock import TimeOrderedIds
from planvault.errors import NotFound
from planvault.storage.pool import Pool, Role, open_pool, savepoint, transaction
from planvault.storage.tenancy import enter, scoped, stepped_into, within
from planvault.storage.tenants import Tenants

NAMES = "SELECT name FROM projects ORDER BY name"
WHO = "SELECT current_user::text, current_setting('planvault.org_id', true)"


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[Pool]:
    """As the API opens its pool; one connection, so that each user of it comes after the one before."""
    async with await open_pool(database_url, name="tenant", role=Role.TENANT, maximum=1) as opened:
        yield opened


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Pool]:
    async with await open_pool(database_url, name="platform", role=Role.PLATFORM, maximum=1) as opened:
        yield opened


async def organisation(pool: Pool, name: str) -> OrgScope:
    tenants = Tenants(pool, TimeOrderedIds())
    made = OrgScope(org_id=(await tenants.create_organization(name)).id)
    await tenants.create_project(made, f"{name}'s")
    return made


@pytest.fixture
async def here(tenants: Pool) -> OrgScope:
    return await organisation(tenants, "here")


@pytest.fixture
async def there(tenants: Pool) -> OrgScope:
    return await organisation(tenants, "there")


async def names(pool: Pool, scope: OrgScope) -> list[str]:
    return [row["name"] for row in await scoped(pool, scope).fetch(NAMES)]


async def test_a_query_that_forgets_its_scope_sees_one_organisation_all_the_same(
    tenants: Pool, here: OrgScope, there: OrgScope
) -> None:
    assert (await names(tenants, here), await names(tenants, there)) == (["here's"], ["there's"])


async def test_without_a_scope_nothing_is_there(tenants: Pool, here: OrgScope) -> None:
    assert await tenants.fetch(NAMES) == []
    async with transaction(tenants) as connection:
        assert await connection.fetch(NAMES) == []
        assert await connection.execute("UPDATE projects SET name = 'mine'") == "UPDATE 0"
        assert await connection.execute("DELETE FROM projects") == "DELETE 0"


async def test_an_empty_or_malformed_scope_opens_nothing(tenants: Pool, here: OrgScope) -> None:
    async with transaction(tenants) as connection:
        await connection.execute("SET LOCAL planvault.org_id = ''")
        assert await connection.fetch(NAMES) == []
    async with tenants.acquire() as connection:
        await connection.execute("BEGIN; SET LOCAL planvault.org_id = 'every'")
        with pytest.raises(asyncpg.DataError):
            await connection.fetch(NAMES)
        await connection.execute("ROLLBACK")


async def test_nothing_can_be_written_into_another_organisation(tenants: Pool, here: OrgScope, there: OrgScope) -> None:
    ids = TimeOrderedIds()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await scoped(tenants, here).execute(
            "INSERT INTO projects (org_id, id, name) VALUES ($1, $2, 'x')", there.org_id, ids.new()
        )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await scoped(tenants, here).execute("UPDATE projects SET org_id = $1", there.org_id)
    assert await scoped(tenants, here).execute("DELETE FROM projects WHERE org_id = $1", there.org_id) == "DELETE 0"
    assert await names(tenants, there) == ["there's"]


async def test_the_scope_is_gone_with_its_transaction_however_it_ends(tenants: Pool, here: OrgScope) -> None:
    async def left() -> tuple[str, str]:
        row = await tenants.fetchrow(WHO)
        assert row is not None
        return row[0], row[1] or ""

    async with within(tenants, here):
        pass
    assert await left() == (Role.TENANT, "")
    with pytest.raises(NotFound):
        async with within(tenants, here):
            raise NotFound("no")
    assert await left() == (Role.TENANT, "")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await scoped(tenants, here).fetch("SELECT 1 / 0")
    assert await left() == (Role.TENANT, "")


async def test_the_scope_is_gone_after_a_statement_that_was_cancelled(tenants: Pool, here: OrgScope) -> None:
    began = asyncio.Event()

    async def wait() -> None:
        async with within(tenants, here) as connection:
            began.set()
            await connection.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(wait())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await tenants.fetch(NAMES) == []
    assert await names(tenants, here) == ["here's"]


async def test_a_transaction_that_is_cancelled_wherever_it_is_is_not_left_open(
    tenants: Pool, here: OrgScope, caplog: pytest.LogCaptureFixture
) -> None:
    """Between two turns of the event loop each: while it begins, in a statement, while it ends."""
    for turns in range(30):
        task = asyncio.create_task(names(tenants, here))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await tenants.fetch(NAMES) == []
    assert "active transaction" not in caplog.text
    assert await names(tenants, here) == ["here's"]


async def test_many_at_once_on_few_connections_never_see_each_other(database_url: str) -> None:
    async with await open_pool(database_url, name="crowd", role=Role.TENANT, maximum=3) as pool:
        made = {name: await organisation(pool, name) for name in map(str, range(8))}

        async def ask(name: str) -> bool:
            return await names(pool, made[name]) == [f"{name}'s"]

        assert all(await asyncio.gather(*(ask(name) for name in made for _ in range(20))))


async def test_a_snapshot_reads_what_its_first_statement_saw_and_writes_nothing(
    database_url: str, tenants: Pool, here: OrgScope
) -> None:
    async with await open_pool(database_url, name="beside", role=Role.TENANT) as beside:
        async with within(tenants, here, snapshot=True) as connection:
            before = await connection.fetch(NAMES)
            await scoped(beside, here).execute("UPDATE projects SET name = 'renamed' WHERE org_id = $1", here.org_id)
            assert await connection.fetch(NAMES) == before
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with within(tenants, here, snapshot=True) as connection:
                await connection.execute("UPDATE projects SET name = 'x'")


async def test_a_platform_connection_steps_down_for_what_is_one_organisations(
    platform: Pool, here: OrgScope, there: OrgScope
) -> None:
    assert await names(platform, here) == ["here's"]
    async with transaction(platform) as connection:
        async with stepped_into(connection, there):
            assert [row["name"] for row in await connection.fetch(NAMES)] == ["there's"]
        row = await connection.fetchrow(WHO)
        assert row is not None
        assert (row[0], row[1]) == (Role.PLATFORM, "")
        assert (
            await connection.fetchval("SELECT count(*) FROM organizations WHERE id = ANY($1)", both(here, there)) == 2
        )


async def test_a_step_that_fails_is_undone_with_its_savepoint(platform: Pool, here: OrgScope) -> None:
    async with transaction(platform) as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with savepoint(connection), stepped_into(connection, here):
                await connection.execute("SELECT 1 / 0")
        row = await connection.fetchrow(WHO)
        assert row is not None
        assert (row[0], row[1] or "") == (Role.PLATFORM, "")


async def test_a_scope_that_is_found_in_the_transaction_holds_from_then_on(tenants: Pool, here: OrgScope) -> None:
    async with transaction(tenants) as connection:
        assert await connection.fetch(NAMES) == []
        await enter(connection, here)
        assert [row["name"] for row in await connection.fetch(NAMES)] == ["here's"]
    assert await tenants.fetch(NAMES) == []


async def test_what_hosts_write_is_its_sessions_organisations_whatever_they_say(
    pool: Pool, platform: Pool, here: OrgScope, there: OrgScope
) -> None:
    ids = TimeOrderedIds()
    session, project = ids.new(), await pool.fetchval("SELECT id FROM projects WHERE org_id = $1", here.org_id)
    await scoped(platform, here).execute(
        "INSERT INTO sessions (id, org_id, project_id, shard, context) VALUES ($1, $2, $3, 0, '')",
        *(session, here.org_id, project),
    )
    event = (
        "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, at, payload) "
        "VALUES ($1, $2, $3, 0, 1, 'x', 'engine', 1, now(), '')"
    )
    await platform.execute(event, session, 1, here.org_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await platform.execute(event, session, 2, there.org_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await platform.execute(event, ids.new(), 1, here.org_id)


@pytest.mark.parametrize(
    "table",
    [
        *("secrets", "data_keys", "api_keys", "project_integrations", "projects", "tools"),
        *("members", "invitations", "users", "service_tokens"),
    ],
)
async def test_the_platform_itself_may_not_read_what_is_no_duty_of_its(platform: Pool, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await platform.fetch(f"SELECT * FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "ALTER TABLE projects DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON projects USING (true)",
        "DROP POLICY tenant ON projects",
        "TRUNCATE projects",
        "CREATE OR REPLACE FUNCTION tenant_scope() RETURNS uuid LANGUAGE sql RETURN gen_random_uuid()",
        "SELECT tenant_table('hosts')",
        "COPY projects TO PROGRAM 'cat'",
        "ALTER ROLE planvault_app BYPASSRLS",
    ],
)
async def test_no_role_of_the_product_changes_the_wall(database_url: str, statement: str) -> None:
    for role in Role:
        async with await open_pool(database_url, name="breaker", role=role) as pool:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(statement)


async def test_row_security_switched_off_is_an_error_and_shows_nothing(tenants: Pool, here: OrgScope) -> None:
    async def read() -> None:
        async with within(tenants, here) as connection:
            await connection.execute("SET LOCAL row_security = off")
            await connection.fetch(NAMES)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await read()


async def test_a_temporary_table_does_not_lead_the_owners_functions_astray(
    tenants: Pool, pool: Pool, there: OrgScope
) -> None:
    """They run with the owner's rights: what a caller can name must not decide what they read."""
    project = await pool.fetchval("SELECT id FROM projects WHERE org_id = $1", there.org_id)
    async with transaction(tenants) as connection:
        await connection.execute("CREATE TEMP TABLE projects (id uuid, org_id uuid) ON COMMIT DROP")
        await connection.execute("INSERT INTO pg_temp.projects VALUES ($1, $2)", project, UUID(int=7))
        assert await connection.fetchval("SELECT organization_of_project($1)", project) == there.org_id


async def test_an_organisation_that_is_not_there_is_not_found(tenants: Pool, there: OrgScope) -> None:
    stranger = OrgScope(org_id=OrgId(TimeOrderedIds().new()))
    with pytest.raises(NotFound):
        await Tenants(tenants, TimeOrderedIds()).organization(stranger)
    found = await Tenants(tenants, TimeOrderedIds()).organization(there)
    assert isinstance(found, Organization)


def both(*scopes: OrgScope) -> list[OrgId]:
    return [scope.org_id for scope in scopes]
