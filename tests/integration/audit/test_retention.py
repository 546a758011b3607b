"""Heads are signed while the log grows; what is old goes by whole anchored segments, and verification goes on."""

from datetime import timedelta
from functools import partial

import asyncpg
import pytest

from planvault.audit.faults import FaultKind
from planvault.storage.audit_anchors import AuditAnchoring
from planvault.storage.session_retention import audit_kept_for
from tests.integration.audit.conftest import Room

DAY = timedelta(days=1)


async def _grow(room: Room, rows: int) -> None:
    await room.write(rows)
    assert await room.anchoring.anchor(room.pool, room.scope) is not None
    room.clock.at += DAY


async def test_what_is_older_than_it_is_kept_goes_and_the_rest_verifies(room: Room) -> None:
    for _ in range(4):
        await _grow(room, 3)
    await room.write(1)
    room.kept = 2 * DAY
    assert await room.anchoring.prune(room.pool, room.scope) == 6  # two days' rows are two days old
    [report] = await room.verify()
    assert (report.ok, report.rows, report.pruned) == (True, 7, 6)
    assert await room.offline() == []
    assert await room.anchoring.prune(room.pool, room.scope) == 0


async def test_segments_follow_one_another(room: Room) -> None:
    for _ in range(5):
        await _grow(room, 2)
    room.kept = 3 * DAY
    assert await room.anchoring.prune(room.pool, room.scope) == 4
    await _grow(room, 2)
    await _grow(room, 2)
    assert await room.anchoring.prune(room.pool, room.scope) == 4
    assert [(each.segment.first_seq, each.segment.last_seq) for each in await room.chain.segments(room.scope)] == [
        (1, 4),
        (5, 8),
    ]
    assert await room.faults() == []
    assert await room.offline() == []


async def test_a_head_from_before_the_pruning_still_agrees_where_a_segment_ends(room: Room) -> None:
    await _grow(room, 3)
    kept = await room.chain.signed_head(room.scope)
    await _grow(room, 3)
    room.kept = timedelta(0)
    room.clock.at += DAY
    assert await room.anchoring.prune(room.pool, room.scope) == 6
    assert await room.offline(expected=[kept]) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM audit_segments WHERE org_id = $org", FaultKind.SEGMENT_DIFFERS),
        ("UPDATE audit_segments SET last_hash = sha256('x') WHERE org_id = $org", FaultKind.BAD_SIGNATURE),
        ("UPDATE audit_segments SET last_seq = last_seq + 1 WHERE org_id = $org", FaultKind.BAD_SIGNATURE),
        ("DELETE FROM audit_log WHERE org_id = $org AND seq <= 8", FaultKind.MISSING),
        (
            "UPDATE audit_heads SET pruned_seq = 8, pruned_hash = (SELECT hash FROM audit_log WHERE org_id = $org"
            " AND seq = 8) WHERE org_id = $org; DELETE FROM audit_log WHERE org_id = $org AND seq <= 8",
            FaultKind.SEGMENT_DIFFERS,
        ),
    ],
)
async def test_a_pruning_that_nobody_signed_is_found(room: Room, statement: str, found: FaultKind) -> None:
    for _ in range(3):
        await _grow(room, 3)
    room.kept = DAY
    assert await room.anchoring.prune(room.pool, room.scope) == 6
    assert await room.faults() == []
    await room.attack(statement)
    assert found in {kind for _, kind in await room.faults()}
    assert await room.offline() != []


async def test_the_database_prunes_no_segment_without_its_record(room: Room) -> None:
    await _grow(room, 3)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="no segment that ends at 3"):
        await room.pool.fetchval("SELECT audit_log_prune($1, 3)", room.scope.org_id)


async def test_what_does_not_verify_is_kept_as_evidence(room: Room) -> None:
    await _grow(room, 3)
    await room.attack("UPDATE audit_log SET action = 'X' WHERE org_id = $org AND seq = 2")
    room.kept = timedelta(0)
    room.clock.at += 2 * DAY
    assert await room.anchoring.prune(room.pool, room.scope) == 0
    assert await room.faults() == [(2, FaultKind.EDITED)]


async def test_a_sweep_anchors_what_has_grown_and_leaves_the_rest(room: Room) -> None:
    await room.write(2)
    await _sweep(room)
    assert [anchor.head.seq for anchor in await room.chain.anchors(room.scope)] == [2]
    await room.write(1)
    await _sweep(room)  # the newest anchor is young
    assert len(await room.chain.anchors(room.scope)) == 1
    room.clock.at += timedelta(hours=2)
    await _sweep(room)
    await _sweep(room)
    assert [anchor.head.seq for anchor in await room.chain.anchors(room.scope)] == [2, 3]


async def _sweep(room: Room) -> None:
    """As Retention does: batch by batch until one is not full."""
    while (await room.anchoring.once(room.pool)).looked_at == room.anchoring.batch:
        pass


async def test_a_sweep_prunes_by_what_the_organisation_has_decided(room: Room) -> None:
    room.anchoring = AuditAnchoring(room.chain, room.clock, partial(audit_kept_for, room.pool))
    decided = """UPDATE organizations SET settings = '{"retention": {"audit_days": 7}}' WHERE id = $1"""
    await room.pool.execute(decided, room.scope.org_id)
    for _ in range(10):
        await room.write(1)
        await _sweep(room)
        room.clock.at += DAY
    await _sweep(room)
    [report] = await room.verify()
    assert (report.ok, report.pruned, report.rows) == (True, 2, 8)


async def test_the_platform_s_role_writes_signs_and_prunes_and_can_do_no_more(as_platform: Room) -> None:
    room = as_platform
    for _ in range(4):
        await _grow(room, 2)
    room.kept = DAY
    assert await room.anchoring.prune(room.pool, room.scope) == 6
    assert await room.faults() == []
    for forbidden in (
        "UPDATE audit_log SET details = ''",
        "DELETE FROM audit_log",
        "UPDATE audit_heads SET seq = 1",
        "DELETE FROM audit_segments",
        "UPDATE audit_segments SET first_seq = 2",
        "DELETE FROM audit_anchors",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await room.pool.execute(forbidden)
