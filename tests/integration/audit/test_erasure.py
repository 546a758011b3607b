"""Details may go, and be sealed anew, without a break in the chain; nobody can blank them without a word."""

import asyncpg
import orjson
import pytest

from models.audit import AuditAction
from models.ids import ProjectId
from models.tenants import ProjectScope
from planvault.audit.faults import FaultKind
from planvault.clock import TimeOrderedIds
from planvault.storage.audit import AuditFilter, audit_seal
from planvault.storage.tenancy import scoped, within
from tests.integration.audit.conftest import Room


async def _erase(room: Room, *rows: int) -> list[int]:
    page = await room.log.page(room.scope, AuditFilter(), None, 100)
    ids = [entry.row.id for entry in page.entries if entry.seq in rows]
    async with within(room.pool, room.scope) as connection:
        return await room.erasure.of_rows(connection, room.scope, ids, "ann", "erasure 7")


async def test_erased_details_are_gone_and_the_chain_verifies(room: Room) -> None:
    await room.write(5)
    assert await _erase(room, 2, 3, 5) == [2, 3, 5]
    [report] = await room.verify()
    assert (report.ok, report.erased, report.rows) == (True, 3, 6)
    assert await room.offline() == []
    page = await room.log.page(room.scope, AuditFilter(), None, 10)
    assert [(entry.seq, entry.erased) for entry in page.entries if entry.erased] == [(5, True), (3, True), (2, True)]
    told = page.entries[0].row
    assert (told.action, told.details["rows"]) == (AuditAction.AUDIT_ERASED, [[2, 3], [5, 5]])
    assert all(b"alice 1" not in line for line in await room.lines())


async def test_erasing_twice_tells_once(room: Room) -> None:
    await room.write(2)
    await _erase(room, 1)
    assert await _erase(room, 1) == []
    assert len((await room.verify())[0].faults) == 0


async def test_the_row_that_tells_of_an_erasure_is_never_erased(room: Room) -> None:
    await room.write(2)
    await _erase(room, 1)
    assert await _erase(room, 3) == []
    assert await room.faults() == []


async def test_details_that_went_without_a_word_are_a_fault(room: Room) -> None:
    rows = await room.write(3)
    await _erase(room, 1)
    await scoped(room.pool, room.scope).fetch("SELECT audit_log_erase($1, $2)", room.scope.org_id, [rows[2].id])
    assert await room.faults() == [(3, FaultKind.DETAILS_UNREADABLE)]
    assert await room.offline() == [(3, FaultKind.DETAILS_UNREADABLE)]


@pytest.mark.parametrize("told", [[[1, 9_999]], [["a", "b"]], "all", [[3]], None])
async def test_a_row_speaks_of_erasures_before_it_and_in_no_other_words(room: Room, told: object) -> None:
    """Somebody who may write rows cannot excuse in advance what they will blank."""
    claim = room.row(action=AuditAction.AUDIT_ERASED).model_copy(update={"details": {"actor": "m", "rows": told}})
    witness = await room.log.witness(room.scope.org_id, claim)
    async with within(room.pool, room.scope) as connection:
        await witness(connection)
    [row] = await room.write(1)
    await scoped(room.pool, room.scope).fetch("SELECT audit_log_erase($1, $2)", room.scope.org_id, [row.id])
    assert await room.faults() == [(2, FaultKind.DETAILS_UNREADABLE)]
    assert await room.offline() == [(2, FaultKind.DETAILS_UNREADABLE)]


async def test_a_page_shows_a_row_whose_details_do_not_open(room: Room) -> None:
    await room.write(2)
    await room.attack("UPDATE audit_log SET details = 'forged' WHERE org_id = $org AND seq = 1")
    page = await room.log.page(room.scope, AuditFilter(), None, 10)
    assert [(entry.unreadable, bool(entry.row.details)) for entry in page.entries] == [(False, True), (True, False)]


async def test_sealing_anew_changes_nothing_of_the_chain_and_brings_nothing_back(room: Room) -> None:
    rows = await room.write(3)
    cipher = await room.keyring.cipher(room.scope.org_id)
    stored = {
        row["id"]: cipher.open(row["details"], audit_seal(row["id"]))
        for row in await room.pool.fetch("SELECT id, details FROM audit_log WHERE org_id = $1", room.scope.org_id)
    }
    await _erase(room, 2)
    ids = [row.id for row in rows]
    anew = [cipher.seal(stored[row_id], audit_seal(row_id)) for row_id in ids]
    here = scoped(room.pool, room.scope)
    assert await here.fetchval("SELECT audit_log_reseal($1, $2, $3)", room.scope.org_id, ids, anew) == 2
    [report] = await room.verify()
    assert (report.ok, report.erased) == (True, 1)
    assert orjson.loads(stored[ids[0]][33:]) == rows[0].details


@pytest.mark.parametrize("function", ["audit_log_erase($1, $2)", "audit_log_reseal($1, $2, $3)"])
async def test_the_doors_open_for_the_organisation_of_the_transaction_only(
    room: Room, other: Room, function: str
) -> None:
    [row] = await other.write(1)
    arguments = [[row.id], [b"x" * 90]][: function.count("$") - 1]

    async def ask(scoping: str, org: object) -> None:
        async with within(room.pool, room.scope) as connection:
            await connection.execute(scoping)
            await connection.fetch(f"SELECT {function}", org, *arguments)

    for scoping in ("SELECT", "SET LOCAL planvault.org_id = ''", "SET LOCAL ROLE planvault_platform"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(scoping, other.scope.org_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask("SET LOCAL planvault.org_id = ''", None)
    assert await other.faults() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET details = ''",
        "UPDATE audit_log SET action = 'X'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_heads SET seq = 0",
        "DELETE FROM audit_anchors",
        "DELETE FROM audit_segments",
        "INSERT INTO audit_anchors VALUES ($org, 1, '', now(), '', '')",
        "DELETE FROM audit_signing_keys",
        "SELECT audit_log_prune($org, 1)",
        "SELECT audit_log_forget($org)",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ],
)
async def test_the_product_s_own_role_cannot_change_what_is_written(room: Room, statement: str) -> None:
    await room.write(1)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with within(room.pool, room.scope) as connection:
            await connection.execute(statement.replace("$org", f"'{room.scope.org_id}'"))
    assert await room.faults() == []


async def test_the_owner_of_the_database_is_refused_as_well(room: Room) -> None:
    await room.write(1)
    for change in ("UPDATE audit_log SET details = ''", "UPDATE audit_log SET hash = ''", "DELETE FROM audit_log"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
            await room.pool.execute(change)


async def test_a_row_brings_no_place_of_its_own_and_a_digest(room: Room) -> None:
    columns = "INSERT INTO audit_log (id, org_id, at, action, details, details_digest, seq)"
    values = f"('{room.ids.new()}', '{room.scope.org_id}', now(), 'X', ''"
    for rest in (", sha256(''), 7)", ", NULL, NULL)", ", 'short', NULL)"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await room.pool.execute(f"{columns} VALUES {values}{rest}")


async def test_an_organisation_that_is_gone_takes_its_log_along(room: Room) -> None:
    await room.write(2)
    await room.anchoring.anchor(room.pool, room.scope)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="still there"):
        await room.pool.execute("SELECT audit_log_forget($1)", room.scope.org_id)
    await room.pool.execute("DELETE FROM organizations WHERE id = $1", room.scope.org_id)
    assert await room.pool.fetchval("SELECT audit_log_forget($1)", room.scope.org_id) == 2
    for table in ("audit_log", "audit_heads", "audit_anchors", "audit_signing_keys"):
        left = f"SELECT count(*) FROM {table} WHERE org_id = $1"
        assert await room.pool.fetchval(left, room.scope.org_id) == 0


async def test_the_rows_of_a_project_are_gone_through_once(room: Room) -> None:
    project = ProjectScope(org_id=room.scope.org_id, project_id=ProjectId(TimeOrderedIds().new()))
    for _ in range(5):
        row = room.row().model_copy(update={"project_id": project.project_id})
        witness = await room.log.witness(room.scope.org_id, row)
        async with within(room.pool, room.scope) as connection:
            await witness(connection)
    walked, after = [], 0
    while True:
        async with within(room.pool, room.scope) as connection:
            blanked, after = await room.erasure.of_project(connection, project, after, 2, "t", "why")
        walked.append((blanked, after))
        if blanked < 2:
            break
    assert [blanked for blanked, _ in walked] == [2, 2, 1]
    assert [place for _, place in walked] == sorted({place for _, place in walked})
    assert await room.faults() == []
