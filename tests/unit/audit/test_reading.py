"""Every single change of an export is found: no byte of it can be another without a fault."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planvault.audit.export import encode, first_line, head_line, key_line, row_line
from planvault.audit.faults import FaultKind
from planvault.audit.reading import verify_export
from planvault.audit.record import NOTHING, ChainedRow, Details, row_hash
from planvault.audit.statements import Head, KeyIntroduction, SigningKey

ORG = UUID("018f0000-0000-7000-8000-000000000001")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = SigningKey(bytes(range(32)))


def export(count: int = 4) -> list[bytes]:
    rows: list[ChainedRow] = []
    for seq in range(1, count + 1):
        details = Details(bytes([seq]) * 32, f'{{"actor":"a{seq}"}}')
        before = rows[-1].hash if rows else NOTHING
        place = (seq, UUID(int=seq), AT + timedelta(seconds=seq), "PLAN_APPROVED", None, UUID(int=9), None)
        draft = ChainedRow(*place, details.digest(), before, b"", details)
        rows.append(ChainedRow(*place, details.digest(), before, row_hash(ORG, before, draft), details))
    head = KEY.signed_head(Head(ORG, count, rows[-1].hash if rows else NOTHING, AT))
    key = KeyIntroduction(ORG, 1, KEY.public_key, AT, None, None)
    lines = [first_line(ORG, AT, details=True), key_line(key), *map(row_line, rows), head_line(head)]
    return [encode(line).rstrip(b"\n") for line in lines]


WHOLE = export()


def test_the_whole_one_verifies() -> None:
    report = verify_export(WHOLE, pinned=[KEY.public_key])
    assert (report.ok, report.rows, report.last_seq, report.heads) == (True, 4, 4, 1)


@pytest.mark.parametrize("gone", range(len(WHOLE)))
def test_no_line_can_be_missing(gone: int) -> None:
    assert not verify_export([line for number, line in enumerate(WHOLE) if number != gone]).ok


@pytest.mark.parametrize("twice", range(len(WHOLE)))
def test_no_line_but_the_key_can_stand_twice(twice: int) -> None:
    report = verify_export([*WHOLE[: twice + 1], *WHOLE[twice:]])
    assert report.ok is (twice == 1)


@given(st.permutations(range(len(WHOLE))))
def test_lines_have_one_order(order: list[int]) -> None:
    assert verify_export([WHOLE[number] for number in order]).ok is (order == sorted(order))


_SAID = frozenset({"at", "details"})  # of the first line: when it was exported and how, which nobody signs


def _changes() -> list[tuple[int, str]]:
    return [
        (number, field)
        for number, line in enumerate(WHOLE)
        for field in orjson.loads(line)
        if not (number == 0 and field in _SAID) and not (number == 1 and field in {"version", "at"})
    ]


@pytest.mark.parametrize(("number", "field"), _changes())
def test_no_field_can_be_another(number: int, field: str) -> None:
    line = orjson.loads(WHOLE[number])
    line[field] = _another(line[field])
    lines = [*WHOLE[:number], orjson.dumps(line), *WHOLE[number + 1 :]]
    assert not verify_export(lines, pinned=[KEY.public_key] if number != 1 else ()).ok


def _another(value: object) -> object:
    if value is None:
        return str(UUID(int=77))
    if isinstance(value, int):
        return value + 1
    text = str(value)
    return ("1" if text[0] != "1" else "2") + text[1:]


@given(st.integers(0, len(b"\n".join(WHOLE)) - 1), st.integers(1, 255))
def test_no_byte_of_rows_and_head_can_be_another(place: int, by: int) -> None:
    whole = b"\n".join(WHOLE)
    begin = len(b"\n".join(WHOLE[:2]))
    place = begin + place % (len(whole) - begin)
    changed = whole[:place] + bytes([whole[place] ^ by]) + whole[place + 1 :]
    report = verify_export(changed.split(b"\n"), pinned=[KEY.public_key])
    if report.ok:  # another spelling of the same value: hexadecimal in capitals
        assert changed.lower() == whole.lower()


@given(st.lists(st.binary(max_size=60) | st.sampled_from(WHOLE), max_size=8))
def test_nothing_makes_it_crash(lines: list[bytes]) -> None:
    verify_export(lines)


def test_a_fault_is_told_once_and_the_first_hundred_are_told() -> None:
    broken = orjson.loads(WHOLE[3])
    broken["action"] = "PLAN_REJECTED"
    report = verify_export([*WHOLE[:3], orjson.dumps(broken), *WHOLE[4:]])
    assert [(fault.seq, fault.kind) for fault in report.faults] == [(2, FaultKind.EDITED)]
    many = verify_export([*WHOLE[:2], *([b"?"] * 300), *WHOLE[2:]])
    assert (len(many.faults), many.fault_count) == (100, 300)
