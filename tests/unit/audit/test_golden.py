"""Formats never change: the golden values of docs/audit.md's byte layouts, and the layouts done anew from that page."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from planvault.audit.record import (
    NOTHING,
    ChainedRow,
    Details,
    details_digest,
    microseconds,
    pack_details,
    row_hash,
    unpack_details,
)
from planvault.audit.statements import Head, KeyIntroduction, Segment, SigningKey, is_signed

ORG = UUID("018f0000-0000-7000-8000-000000000001")
ROW = UUID("018f0000-0000-7000-8000-000000000002")
PROJECT = UUID("018f0000-0000-7000-8000-000000000003")
RUN = UUID("018f0000-0000-7000-8000-000000000004")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SALT, TEXT = bytes(range(32)), '{"actor":"Zoë","n":1.0}'
DIGEST = bytes.fromhex("2be3a605071ad8e0dde63535d84b9791208bb3fc8f1a25b1e636ca301e2a1cdc")
HASH = bytes.fromhex("1362e5ceda290014ccb85087bb751a153c0e5c44ea4f671ca4355bf22f34bf81")
KEY = SigningKey(bytes(range(32)))
DOCS = Path(__file__).resolve().parents[3] / "docs" / "audit.md"


def _row(**changes: object) -> ChainedRow:
    fields: dict[str, object] = {
        "seq": 1,
        "id": ROW,
        "at": AT,
        "action": "PLAN_APPROVED",
        "project_id": PROJECT,
        "session_id": None,
        "run_id": RUN,
        "details_digest": DIGEST,
        "prev_hash": NOTHING,
        "hash": HASH,
    }
    return ChainedRow(**(fields | changes))  # type: ignore[arg-type]


def test_the_golden_row_has_its_golden_hash() -> None:
    assert details_digest(SALT, TEXT) == DIGEST
    assert row_hash(ORG, NOTHING, _row()) == HASH


def test_the_documented_layout_alone_gives_the_golden_hash() -> None:
    """Written from the page, with nothing of ours."""
    micros = 1_767_323_045_678_901
    layout = (
        b"planvault/audit/row/1" + bytes(32)
        + ORG.bytes + (1).to_bytes(8, "big") + ROW.bytes + micros.to_bytes(8, "big")
        + b"\x01" + PROJECT.bytes + b"\x00" + b"\x01" + RUN.bytes
        + (13).to_bytes(4, "big") + b"PLAN_APPROVED"
        + b"\x01" + hashlib.sha256(b"planvault/audit/details/1" + SALT + TEXT.encode()).digest()
    )  # fmt: skip
    assert hashlib.sha256(layout).digest() == HASH
    page = DOCS.read_text(encoding="utf-8")
    for label in ("row", "details", "head", "segment", "key"):
        assert f'"planvault/audit/{label}/1"' in page


def test_signatures_are_the_golden_ones_and_those_of_the_documented_layouts() -> None:
    """Ed25519 is deterministic."""
    later, sign = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC), Ed25519PrivateKey.from_private_bytes(bytes(range(32))).sign
    head = Head(ORG, 1, HASH, later)
    micros = (1_767_323_046_000_000).to_bytes(8, "big")
    one = (1).to_bytes(8, "big")
    assert KEY.sign(head) == sign(b"planvault/audit/head/1" + ORG.bytes + one + HASH + micros)
    assert KEY.sign(head).hex().startswith("daed6ae573fe9496ee951f5af24163d9f0054933fe7a66a822839a28408a2048")
    segment = Segment(ORG, 1, 1, NOTHING, HASH, later)
    assert KEY.sign(segment) == sign(b"planvault/audit/segment/1" + ORG.bytes + one + one + bytes(32) + HASH + micros)
    key = KeyIntroduction(ORG, 1, bytes(32), later, KEY.public_key, None)
    assert KEY.sign(key) == sign(b"planvault/audit/key/1" + ORG.bytes + one + bytes(32) + micros)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 2},
        {"id": RUN},
        {"at": AT.replace(microsecond=678902)},
        {"action": "PLAN_APPROVED "},
        {"project_id": None},
        {"project_id": None, "session_id": PROJECT},  # the same bytes in the next place
        {"session_id": PROJECT},
        {"run_id": None},
        {"details_digest": None},
        {"details_digest": NOTHING},
    ],
)
def test_every_field_counts(change: dict[str, object]) -> None:
    assert row_hash(ORG, NOTHING, _row(**change)) != HASH


def test_the_organisation_and_the_row_before_count() -> None:
    assert row_hash(RUN, NOTHING, _row()) != HASH
    assert row_hash(ORG, HASH, _row()) != HASH


def test_details_come_back_with_their_salt_which_is_never_the_same() -> None:
    packed, digest = pack_details(TEXT.encode())
    assert unpack_details(packed).text == TEXT
    assert unpack_details(packed).digest() == digest
    assert pack_details(TEXT.encode())[1] != digest


def test_details_from_before_the_chain_are_read_and_have_no_digest() -> None:
    assert unpack_details(b'{"actor":"a"}') == Details(None, '{"actor":"a"}')
    assert unpack_details(b"{}").digest() is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (AT, 1_767_323_045_678_901),
    ],
)
def test_times_are_whole_microseconds_before_and_after_1970(at: datetime, expected: int) -> None:
    assert microseconds(at) == expected


def test_a_signature_is_one_statement_s_and_one_key_s() -> None:
    head = Head(ORG, 1, HASH, AT)
    signature = KEY.sign(head)
    assert is_signed(head, KEY.public_key, signature)
    assert not is_signed(Head(ORG, 2, HASH, AT), KEY.public_key, signature)
    assert not is_signed(Head(ORG, 1, NOTHING, AT), KEY.public_key, signature)
    assert not is_signed(Segment(ORG, 1, 1, NOTHING, HASH, AT), KEY.public_key, signature)
    assert not is_signed(head, SigningKey(bytes(32)).public_key, signature)
    assert not is_signed(head, b"short", signature)
    assert not is_signed(head, KEY.public_key, b"")
