"""Whoever owns the database, and not the KEK, lays out evidence for the platform to sign or to believe."""

from datetime import timedelta

import asyncpg
import pytest

from planvault.audit.faults import FaultKind
from planvault.audit.statements import Head, SigningKey
from tests.integration.audit.conftest import Room
from tests.integration.audit.test_attacks import EDIT, REWRITE

FORGED = bytes(range(32))


async def test_a_forged_anchor_makes_the_platform_sign_no_chain_that_was_written_anew(room: Room) -> None:
    await room.write(5)
    await room.anchoring.anchor(room.pool, room.scope)
    await room.attack(
        EDIT,
        REWRITE,
        "UPDATE audit_anchors SET hash = (SELECT hash FROM audit_log WHERE org_id = $org AND seq = 5)"
        " WHERE org_id = $org",
    )
    await room.write(1)
    assert await room.anchoring.anchor(room.pool, room.scope) is None
    assert await room.faults() == [(5, FaultKind.BAD_SIGNATURE)]


async def test_a_forged_anchor_makes_the_platform_prune_nothing_before_its_time(room: Room) -> None:
    await room.write(5)
    await room.anchoring.anchor(room.pool, room.scope)
    await room.attack("UPDATE audit_anchors SET at = at - interval '400 days' WHERE org_id = $org")
    assert await room.anchoring.prune(room.pool, room.scope) == 0
    assert await room.chain.segments(room.scope) == []


async def test_rows_that_somebody_took_and_called_pruned_are_not_signed_over(room: Room) -> None:
    await room.write(5)
    await room.attack(
        "UPDATE audit_heads h SET pruned_seq = 3, pruned_hash = r.hash FROM audit_log r"
        " WHERE h.org_id = $org AND r.org_id = $org AND r.seq = 3",
        "DELETE FROM audit_log WHERE org_id = $org AND seq <= 3",
    )
    assert await room.anchoring.anchor(room.pool, room.scope) is None
    room.clock.at += timedelta(days=400)
    assert await room.anchoring.prune(room.pool, room.scope) == 0


async def test_a_log_that_was_forged_and_signed_with_another_key_is_found_where_it_lies(room: Room) -> None:
    await room.write(5)
    await room.anchoring.anchor(room.pool, room.scope)
    await room.attack(EDIT, REWRITE)
    forger, end = SigningKey(FORGED), await room.chain.end(room.scope)
    signed = forger.signed_head(Head(room.scope.org_id, end.seq, end.hash, room.clock.now()))
    await room.attack(
        f"UPDATE audit_signing_keys SET public_key = '\\x{forger.public_key.hex()}' WHERE org_id = $org",
        f"UPDATE audit_anchors SET hash = '\\x{end.hash.hex()}', at = '{room.clock.now().isoformat()}',"
        f" public_key = '\\x{forger.public_key.hex()}', signature = '\\x{signed.signature.hex()}' WHERE org_id = $org",
    )
    assert {kind for _, kind in await room.faults()} == {FaultKind.UNKNOWN_KEY}


async def test_a_row_without_its_hashes_is_a_fault_and_no_failure_of_the_verification(room: Room) -> None:
    await room.write(3)
    await room.attack("UPDATE audit_log SET prev_hash = NULL, hash = NULL WHERE org_id = $org AND seq = 2")
    assert (2, FaultKind.EDITED) in await room.faults()


async def test_the_database_prunes_no_segment_that_ends_at_no_anchor(room: Room) -> None:
    """Whoever may insert segments, as the platform's processes may, cannot make rows go that nobody has signed."""
    await room.write(3)
    await room.pool.execute(
        "INSERT INTO audit_segments (org_id, first_seq, last_seq, prev_hash, last_hash, at, public_key, signature)"
        " SELECT org_id, 1, 3, decode(repeat('00', 32), 'hex'), hash, now(), '', '' FROM audit_log"
        " WHERE org_id = $1 AND seq = 3",
        room.scope.org_id,
    )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="no segment that ends at 3"):
        await room.pool.fetchval("SELECT audit_log_prune($1, 3)", room.scope.org_id)
