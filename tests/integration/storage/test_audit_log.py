"""The audit log: whole rows, only more of them, and only the organisation's own."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from models.audit import AuditAction, AuditEntry, AuditRow
from models.ids import OrgId, ProjectId, RunId, SessionId
from models.tenants import OrgScope
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.storage.audit import AuditFilter, AuditLog
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, transaction
from planvault.storage.tenants import Tenants

IDS = TimeOrderedIds()


async def _log(pool: Pool, folder: Path) -> tuple[AuditLog, OrgId]:
    organization = await Tenants(pool, IDS).create_organization(f"org {IDS.new()}")
    return AuditLog(pool, PostgresKeyring(pool, LocalKeyWrapper.at(folder / "keyset.json"), IDS)), organization.id


def _row(action: AuditAction = AuditAction.PLAN_APPROVED, **fields: object) -> AuditRow:
    details = {"actor": "alice (key:k)", "planHash": "ab"}
    return AuditRow.model_validate(
        {"id": IDS.new(), "at": SystemClock().now(), "action": action, "details": details, **fields}
    )


async def _write(pool: Pool, log: AuditLog, org_id: OrgId, *rows: AuditRow) -> None:
    for row in rows:
        witness = await log.witness(org_id, row)
        async with transaction(pool) as connection:
            await witness(connection)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


async def test_a_row_comes_back_as_it_was_written_and_lies_there_encrypted(pool: Pool, keys: Path) -> None:
    log, org_id = await _log(pool, keys)
    row = _row(project_id=ProjectId(IDS.new()), session_id=SessionId(IDS.new()), run_id=RunId(IDS.new()))
    await _write(pool, log, org_id, row)
    page = await log.page(OrgScope(org_id=org_id), AuditFilter(), None, 10)
    assert page == ((AuditEntry(1, row, False),), None)
    stored = await pool.fetchval("SELECT details FROM audit_log WHERE id = $1", row.id)
    assert b"alice" not in stored


async def test_a_transaction_that_fails_leaves_no_row(pool: Pool, keys: Path) -> None:
    log, org_id = await _log(pool, keys)
    witness = await log.witness(org_id, _row())
    with suppress(RuntimeError):
        async with transaction(pool) as connection:
            await witness(connection)
            raise RuntimeError("what it tells of did not happen")
    assert await log.page(OrgScope(org_id=org_id), AuditFilter(), None, 10) == ((), None)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET action = 'X'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
async def test_it_only_grows(pool: Pool, keys: Path, statement: str) -> None:
    log, org_id = await _log(pool, keys)
    await _write(pool, log, org_id, _row())
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
        await pool.execute(statement)


async def test_pages_are_newest_first_filtered_and_the_organisation_s_own(pool: Pool, keys: Path) -> None:
    log, org_id = await _log(pool, keys)
    other, other_id = await _log(pool, keys)
    now, session = SystemClock().now(), SessionId(IDS.new())
    rows = [
        _row(at=now - timedelta(hours=2)),
        _row(AuditAction.TOOL_APPROVED, at=now - timedelta(hours=1), session_id=session),
        _row(AuditAction.PLAN_REJECTED, at=now),
    ]
    await _write(pool, log, org_id, *rows)
    await _write(pool, other, other_id, _row())

    async def page(before: int | None = None, limit: int = 10, **chosen: object) -> list[AuditRow]:
        found = await log.page(OrgScope(org_id=org_id), AuditFilter(**chosen), before, limit)  # type: ignore[arg-type]
        return [entry.row for entry in found.entries]

    assert await page() == rows[::-1]
    assert await page(limit=2) == [rows[2], rows[1]]
    assert await page(before=2) == [rows[0]]
    assert await page(actions=(AuditAction.TOOL_APPROVED, AuditAction.PLAN_REJECTED)) == [rows[2], rows[1]]
    assert await page(session_id=session) == [rows[1]]
    assert await page(since=now - timedelta(minutes=90), until=now) == [rows[1]]
    assert await page(project_id=ProjectId(IDS.new())) == []
