"""What somebody who owns the database can do to the log, and how it is found."""

import pytest

from planvault.audit.faults import FaultKind
from planvault.storage.pool import transaction
from planvault.storage.tenancy import scoped
from tests.integration.audit.conftest import Room

SWAP = "UPDATE audit_log SET seq = -seq WHERE org_id = $org AND seq IN (2, 3)"


async def test_an_untouched_log_verifies_here_and_from_its_export(room: Room) -> None:
    await room.write(5)
    [report] = await room.verify()
    assert (report.ok, report.rows, report.last_seq) == (True, 5, 5)
    assert await room.offline() == []


async def test_a_log_without_rows_verifies(room: Room) -> None:
    assert await room.faults() == []
    assert await room.offline() == []


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        pytest.param(["UPDATE audit_log SET action = 'PLAN_REJECTED' WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED)], id="action"),
        pytest.param(["UPDATE audit_log SET at = at - interval '1 day' WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED)], id="time"),
        pytest.param(["UPDATE audit_log SET session_id = id WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED)], id="session"),
        pytest.param(["UPDATE audit_log SET project_id = id WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED)], id="project"),
        pytest.param(["UPDATE audit_log SET run_id = id WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED)], id="run"),
        pytest.param(["UPDATE audit_log SET details_digest = sha256('x') WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED), (3, FaultKind.DETAILS_EDITED)], id="digest"),
        pytest.param(["UPDATE audit_log SET details_digest = NULL WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED)], id="no digest"),
        pytest.param(["UPDATE audit_log SET hash = sha256('x') WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.EDITED), (4, FaultKind.BROKEN_LINK)], id="hash"),
        pytest.param(["UPDATE audit_log SET details = 'gone' WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.DETAILS_UNREADABLE)], id="details overwritten"),
        pytest.param(["UPDATE audit_log SET details = '' WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.DETAILS_UNREADABLE)], id="details blanked"),
        pytest.param(["DELETE FROM audit_log WHERE org_id = $org AND seq = 3"],
                     [(3, FaultKind.MISSING)], id="removed"),
        pytest.param(["DELETE FROM audit_log WHERE org_id = $org AND seq <= 2"],
                     [(1, FaultKind.MISSING)], id="beginning removed"),
        pytest.param(["DELETE FROM audit_log WHERE org_id = $org AND seq = 3",
                      "UPDATE audit_log SET seq = seq - 1 WHERE org_id = $org AND seq = 4",
                      "UPDATE audit_log SET seq = seq - 1 WHERE org_id = $org AND seq = 5"],
                     [(3, FaultKind.BROKEN_LINK), (3, FaultKind.EDITED), (4, FaultKind.EDITED),
                      (4, FaultKind.TAIL_CUT)],
                     id="removed and closed up"),
        pytest.param([SWAP, "UPDATE audit_log SET seq = seq + 5 WHERE org_id = $org AND seq < 0"],
                     [(2, FaultKind.BROKEN_LINK), (2, FaultKind.EDITED), (3, FaultKind.BROKEN_LINK),
                      (3, FaultKind.EDITED), (4, FaultKind.BROKEN_LINK)], id="two rows swapped"),
        pytest.param(["DELETE FROM audit_log WHERE org_id = $org AND seq > 3"],
                     [(3, FaultKind.TAIL_CUT)], id="tail cut"),
        pytest.param(["UPDATE audit_log SET seq = NULL, prev_hash = NULL, hash = NULL WHERE org_id = $org AND seq = 5",
                      "UPDATE audit_heads SET seq = 4, hash = (SELECT hash FROM audit_log WHERE org_id = $org"
                      " AND seq = 4) WHERE org_id = $org"],
                     [(4, FaultKind.UNCHAINED)], id="taken out of the chain"),
    ],
)  # fmt: skip
async def test_a_row_that_was_changed_is_found(
    room: Room, statements: list[str], found: list[tuple[int, FaultKind]]
) -> None:
    await room.write(5)
    await room.attack(*statements)
    assert await room.faults() == found


async def test_details_that_were_exchanged_between_rows_do_not_open(room: Room) -> None:
    await room.write(3)
    await room.attack(
        "UPDATE audit_log a SET details = b.details FROM audit_log b"
        " WHERE a.org_id = $org AND b.org_id = $org AND a.seq = 1 AND b.seq = 2"
    )
    assert await room.faults() == [(1, FaultKind.DETAILS_UNREADABLE)]


async def test_details_that_somebody_with_the_key_wrote_anew_are_found(room: Room) -> None:
    from planvault.audit.record import pack_details
    from planvault.storage.audit import audit_seal

    [row, _] = await room.write(2)
    cipher = await room.keyring.cipher(room.scope.org_id)
    sealed = cipher.seal(pack_details(b'{"actor":"bob"}')[0], audit_seal(row.id))
    here = scoped(room.pool, room.scope)
    await here.execute("SELECT audit_log_reseal($1, $2, $3)", room.scope.org_id, [row.id], [sealed])
    assert await room.faults() == [(1, FaultKind.DETAILS_EDITED)]
    assert await room.offline() == [(1, FaultKind.DETAILS_EDITED)]


async def test_a_row_of_another_organisation_does_not_pass_for_one_of_this(room: Room, other: Room) -> None:
    await room.write(2)
    await other.write(2)
    await room.attack(
        "DELETE FROM audit_log WHERE org_id = $org AND seq = 1",
        f"UPDATE audit_log SET org_id = $org WHERE org_id = '{other.scope.org_id}' AND seq = 1",
    )
    assert (1, FaultKind.EDITED) in await room.faults()
    assert await other.faults() == [(1, FaultKind.MISSING)]


REWRITE = """DO $$
DECLARE r record; last bytea := (SELECT prev_hash FROM audit_log WHERE org_id = $org AND seq = 3);
BEGIN
    FOR r IN SELECT * FROM audit_log WHERE org_id = $org AND seq >= 3 ORDER BY seq LOOP
        UPDATE audit_log SET prev_hash = last, hash = audit_row_hash(last, r.org_id, r.seq, r.id, r.at, r.project_id,
            r.session_id, r.run_id, r.action, r.details_digest) WHERE id = r.id RETURNING hash INTO last;
    END LOOP;
    UPDATE audit_heads SET hash = last WHERE org_id = $org;
END $$"""
EDIT = "UPDATE audit_log SET action = 'PLAN_REJECTED' WHERE org_id = $org AND seq = 3"


async def test_a_chain_that_was_written_anew_contradicts_its_anchors(room: Room) -> None:
    await room.write(5)
    assert await room.anchoring.anchor(room.pool, room.scope) is not None
    await room.attack(EDIT, REWRITE)
    assert await room.faults() == [(5, FaultKind.HEAD_DIFFERS)]


async def test_without_its_anchors_it_contradicts_a_head_that_somebody_kept(room: Room) -> None:
    await room.write(5)
    kept = await room.chain.signed_head(room.scope)
    await room.attack(EDIT, REWRITE, "DELETE FROM audit_anchors WHERE org_id = $org")
    assert await room.faults() == []  # nothing in the database can tell
    assert await room.offline(expected=[kept]) == [(5, FaultKind.HEAD_DIFFERS)]


async def test_a_tail_that_was_cut_with_its_head_contradicts_a_head_that_somebody_kept(room: Room) -> None:
    await room.write(5)
    kept = await room.chain.signed_head(room.scope)
    await room.attack(
        "DELETE FROM audit_log WHERE org_id = $org AND seq > 3",
        "UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit_log WHERE org_id = $org AND seq = 3)"
        " WHERE org_id = $org",
    )
    assert await room.faults() == []
    assert await room.offline(expected=[kept]) == [(5, FaultKind.TAIL_CUT)]


async def test_a_head_set_back_contradicts_its_anchors(room: Room) -> None:
    await room.write(5)
    await room.anchoring.anchor(room.pool, room.scope)
    await room.attack(
        "DELETE FROM audit_log WHERE org_id = $org AND seq > 3",
        "UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit_log WHERE org_id = $org AND seq = 3)"
        " WHERE org_id = $org",
    )
    assert await room.faults() == [(5, FaultKind.TAIL_CUT)]


async def test_what_does_not_verify_is_not_signed(room: Room) -> None:
    await room.write(5)
    await room.attack(EDIT)
    assert await room.anchoring.anchor(room.pool, room.scope) is None
    assert await room.chain.anchors(room.scope) == []


async def test_a_signature_under_a_key_of_the_attacker_s_is_found_by_who_pinned_the_key(room: Room) -> None:
    await room.write(2)
    pinned = (await room.chain.keys.current(room.scope)).public_key
    assert await room.offline(pinned=[pinned]) == []
    await room.attack("DELETE FROM audit_signing_keys WHERE org_id = $org")
    assert await room.offline(pinned=[pinned]) == [(2, FaultKind.UNKNOWN_KEY)]


async def test_the_private_key_lies_sealed(room: Room) -> None:
    await room.chain.signed_head(room.scope)
    seed = await room.pool.fetchval("SELECT seed FROM audit_signing_keys WHERE org_id = $1", room.scope.org_id)
    assert len(seed) == 32 + 81  # an envelope of docs/encryption.md


async def test_a_new_key_is_introduced_by_the_one_before_it(room: Room) -> None:
    await room.write(2)
    pinned = (await room.chain.keys.current(room.scope)).public_key
    await room.anchoring.anchor(room.pool, room.scope)
    async with transaction(room.pool) as connection:
        made = await room.chain.keys.rotate(connection, room.scope)
    await room.write(2)
    await room.anchoring.anchor(room.pool, room.scope)
    assert (made.version, made.introduced_by) == (2, pinned)
    assert await room.offline(pinned=[pinned]) == []
    await room.attack("UPDATE audit_signing_keys SET introduction = introduced_by || introduced_by WHERE org_id = $org")
    kinds = {kind for _, kind in await room.offline(pinned=[pinned])}
    assert kinds == {FaultKind.BAD_SIGNATURE, FaultKind.UNKNOWN_KEY}


async def test_portions_find_what_the_whole_finds(room: Room) -> None:
    await room.write(7)
    reports = await room.verify(limit=3)
    assert [report.rows for report in reports] == [3, 3, 1]
    assert all(report.ok for report in reports)
    await room.attack("UPDATE audit_log SET hash = sha256('x') WHERE org_id = $org AND seq = 3")
    found = [(fault.seq, fault.kind) for report in await room.verify(limit=3) for fault in report.faults]
    assert found == [(3, FaultKind.EDITED), (4, FaultKind.BROKEN_LINK)]
