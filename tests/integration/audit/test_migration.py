"""A released database has rows without a chain: the migration chains them, and what comes next goes on behind them."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from models.ids import OrgId
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.storage.audit import AuditFilter, audit_seal
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate, shipped
from planvault.storage.pool import open_pool
from tests.integration.audit.conftest import Room

CHAIN = "0018_audit_chain.sql"
OLD = (
    "INSERT INTO audit_log (id, org_id, session_id, at, action, details)"
    " SELECT id, $2, id, now(), 'PLAN_APPROVED', details FROM unnest($1::uuid[], $3::bytea[]) AS r(id, details)"
)


@pytest.fixture
def released_url(postgres_server: str) -> Iterator[str]:
    """A database from before the chain."""
    name = f"test_{uuid.uuid1().hex}"  # noqa: TID251 - a name for a throw-away database

    async def run(sql: str) -> None:
        connection = await asyncpg.connect(postgres_server)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run(f'CREATE DATABASE "{name}"'))
    url = postgres_server.replace("/postgres?", f"/{name}?")
    asyncio.run(migrate(url, [each for each in shipped() if each.name < CHAIN]))
    yield url
    asyncio.run(run(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def test_rows_of_a_released_database_are_chained_and_the_log_goes_on_behind_them(
    released_url: str, tmp_path: Path
) -> None:
    ids = TimeOrderedIds()
    orgs = [OrgId(ids.new()), OrgId(ids.new())]
    async with await open_pool(released_url, name="test") as pool:
        keyring = PostgresKeyring(pool, LocalKeyWrapper.at(tmp_path / "keyset.json"), ids)
        for org in orgs:
            await pool.execute("INSERT INTO organizations (id, name) VALUES ($1, 'an organisation')", org)
            rows = [ids.new() for _ in range(3)]
            cipher = await keyring.cipher(org)
            sealed = [cipher.seal(b'{"actor":"ann"}', audit_seal(row)) for row in rows]
            await pool.execute(OLD, rows[::-1], org, sealed[::-1])
    await migrate(released_url)
    async with await open_pool(released_url, name="test") as pool:
        keyring = PostgresKeyring(pool, LocalKeyWrapper.at(tmp_path / "keyset.json"), ids)
        for org in orgs:
            room = Room(pool, keyring, ids, org)
            await room.write(2)
            [report] = await room.verify()
            assert (report.ok, report.rows, report.last_seq, report.unproven) == (True, 5, 5, 3)
            assert await room.offline() == []
            page = await room.log.page(room.scope, AuditFilter(), None, 10)
            assert [entry.seq for entry in page.entries] == [5, 4, 3, 2, 1]
            times = [entry.row.id for entry in page.entries]
            assert times == sorted(times, reverse=True)
            assert page.entries[-1].row.details == {"actor": "ann"}
            assert await room.anchoring.anchor(pool, room.scope) is not None
