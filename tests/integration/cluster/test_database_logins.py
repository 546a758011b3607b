"""Who may log in to the embedded server and as what; and migrations by an owner who is no superuser."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from cluster import database, logins
from cluster.data_dir import DataDir, prepare
from cluster.logins import APP, OWNER, PLATFORM, Login
from cluster.postgres import Server, embedded
from cluster.server_user import server_user
from models.ids import OrgId
from models.tenants import OrgScope
from planvault.clock import TimeOrderedIds
from planvault.errors import BringUpFailed
from planvault.settings import Settings
from planvault.storage.migrate import migrate
from planvault.storage.pool import Role, open_pool
from planvault.storage.tenancy import scoped
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres
OLD_ACCESS = "local all all trust\n"


@pytest.fixture(scope="module")
def data() -> Iterator[DataDir]:
    root = Path(tempfile.mkdtemp(prefix="pv-"))
    yield prepare(root, server_user())
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def server(data: DataDir) -> Iterator[Server]:
    """Brought up as `planvault up` does, up to the processes."""
    made = embedded(data, server_user())
    made.start()
    asyncio.run(database.create_database(made.url("postgres")))
    asyncio.run(database.ready(made.url(), Settings(data_dir=data.root), None))
    asyncio.run(database.make_logins(made.url(), logins.kept(data.logins)))
    yield made
    made.stop()


async def ask(url: str, sql: str, role: Role | None = None) -> object:
    connection = await asyncpg.connect(url, server_settings={} if role is None else {"role": role.value})
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def without_password(server: Server, login: Login) -> str:
    return f"postgresql://{login}@/planvault?host={quote(str(server.sockets), safe='/')}"


@pytest.mark.parametrize("login", [OWNER, APP, PLATFORM])
async def test_nobody_gets_in_without_the_password(server: Server, login: Login) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(without_password(server, login), "SELECT 1")
    assert await ask(server.url(login=login), "SELECT session_user::text") == login


def test_the_passwords_lie_in_a_file_of_their_own_that_nobody_else_reads(data: DataDir, server: Server) -> None:
    assert (data.logins.stat().st_mode & 0o777) == 0o600
    known = logins.read(data.logins)
    assert known is not None
    assert len({known.owner, known.app, known.platform}) == 3
    assert known.owner not in repr(known)
    data.logins.chmod(0o640)
    try:
        with pytest.raises(BringUpFailed, match="chmod 600"):
            logins.read(data.logins)
    finally:
        data.logins.chmod(0o600)


@pytest.mark.parametrize(
    ("login", "own", "others"),
    [(APP, Role.TENANT, (Role.PLATFORM.value, OWNER)), (PLATFORM, Role.PLATFORM, (OWNER,))],
)
async def test_a_process_cannot_become_more_than_it_is(
    server: Server, login: Login, own: Role, others: tuple[str, ...]
) -> None:
    connection = await asyncpg.connect(server.url(login=login), server_settings={"role": own.value})
    try:
        for other in others:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {other}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET SESSION AUTHORIZATION {other}")
        await connection.execute("SET ROLE none")  # the login by itself has nothing at all
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM organizations")
        for statement in ("CREATE TABLE mine (a int)", "CREATE ROLE mine", "COPY (SELECT 1) TO PROGRAM 'true'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


def test_an_older_releases_open_server_is_closed_at_the_next_start_and_keeps_what_it_holds(
    data: DataDir, server: Server
) -> None:
    known = logins.read(data.logins)
    assert known is not None
    asyncio.run(ask(server.url(), "CREATE TABLE kept AS SELECT 7 AS seven"))
    server.stop()
    access = server.data / "pg_hba.conf"
    access.write_text(OLD_ACCESS)
    data.logins.unlink()  # as an older release leaves it; and as a lost one
    server.start()
    asyncio.run(database.make_logins(server.url(), logins.kept(data.logins)))
    assert "trust" not in access.read_text()
    assert asyncio.run(ask(server.url(), "SELECT seven FROM kept")) == 7
    renewed = logins.read(data.logins)
    assert renewed is not None
    assert renewed.owner != known.owner
    for login in (OWNER, APP, PLATFORM):
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(
                ask(server.url(login=login).replace(renewed.password(login), known.password(login)), "SELECT 1")
            )
        assert asyncio.run(ask(server.url(login=login), "SELECT 1")) == 1


async def test_databases_of_one_server_may_be_migrated_at_once(server: Server) -> None:
    """Roles are the server's: whoever comes second finds them made, or being made."""
    await ask(server.url("postgres"), "SELECT 1")
    owner = await asyncpg.connect(server.url("postgres"))
    try:
        names = [f"side_{number}" for number in range(4)]
        for name in names:
            await owner.execute(f"CREATE DATABASE {name}")
        await owner.execute("DROP DATABASE planvault WITH (FORCE)")
        await owner.execute("DROP OWNED BY planvault_app, planvault_platform")
        await owner.execute("DROP ROLE planvault_platform, planvault_app")
        applied = await asyncio.gather(*(migrate(server.url(name)) for name in names))
        assert all("0014_tenancy.sql" in each for each in applied)
        for name in names:
            await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await owner.close()


async def test_an_owner_who_is_no_superuser_migrates_and_is_held_by_what_it_made(server: Server) -> None:
    admin = await asyncpg.connect(server.url("postgres"))
    try:
        await admin.execute("CREATE ROLE somebody LOGIN PASSWORD 'x'")
        await admin.execute("CREATE DATABASE theirs OWNER somebody")
        url = server.url("theirs").replace(server.url("x").split("@")[0], "postgresql://somebody:x")
        await _extension(server, "theirs")
        with pytest.raises(
            asyncpg.InsufficientPrivilegeError, match=r"GRANT planvault_app, planvault_platform TO somebody"
        ):
            await migrate(url)
        await admin.execute("GRANT planvault_app, planvault_platform TO somebody")
        assert "0014_tenancy.sql" in await migrate(url)
    finally:
        await admin.close()
    await database.check_role(url, Role.TENANT, "DATABASE_URL")
    async with await open_pool(url, name="single", role=Role.TENANT) as pool:  # the weaker set-up of one URL
        tenants = Tenants(pool, TimeOrderedIds())
        made = [OrgScope(org_id=(await tenants.create_organization(name)).id) for name in ("here", "there")]
        for scope in made:
            assert await scoped(pool, scope).fetchval("SELECT count(*) FROM organizations") == 1
    assert await ask(url, "SELECT count(*) FROM organizations") == 2  # as a member of the platform's role
    assert await ask(url, "SELECT organization_of_project(gen_random_uuid())") is None


async def _extension(server: Server, name: str) -> None:
    await ask(server.url(name), "CREATE EXTENSION vector")


async def test_a_login_that_may_not_act_as_its_role_is_told_what_to_run(server: Server) -> None:
    with pytest.raises(BringUpFailed, match=f'GRANT {Role.PLATFORM} TO "{APP}"'):
        await database.check_role(server.url("postgres", APP), Role.PLATFORM, "PLANVAULT_PLATFORM_DATABASE_URL")


def test_an_organisation_id_is_no_text_that_sql_could_read_otherwise() -> None:
    with pytest.raises(ValueError, match="uuid"):
        OrgScope(org_id=OrgId("'; RESET ROLE --"))  # type: ignore[arg-type]
