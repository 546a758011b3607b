"""Which JSON is read: what every parser reads alike."""

import time

import pytest

from serve_apps.middleware.json_bodies import MAX_DEPTH, fault_of


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"  ",
        b"{}",
        b'{"a": [1, 2.5, true, null, "x"]}',
        b'{"a": {"a": 1}, "b": {"a": 1}}',
        b'{"a": "[[[[{{{{"}',
        b'{"a": "' + b"[" * 5_000 + b'"}',
        b'{"a": "\\"' + b"{" * 500 + b'\\\\"}',
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b"[" + b",".join([b"[{}]"] * 5_000) + b"]",
        '{"a": "é\u2028😀"}'.encode(),
    ],
)
def test_ordinary_json_is_read(text: bytes) -> None:
    assert fault_of(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"role": "a", "role": "b"}', "'role' occurs twice"),
        (b'{"x": [{"\\u0061": 1, "a": 2}]}', "'a' occurs twice"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": "\xff"}', "UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "position"),
        (b'{"a": 1}{"a": 2}', "Extra data"),
        (b"{'a': 1}", "position 1"),
    ],
)
def test_what_parsers_read_differently_is_a_fault_that_says_where(text: bytes, says: str) -> None:
    fault = fault_of(text)
    assert fault is not None
    assert says in fault.detail
    assert not fault.is_boundless


@pytest.mark.parametrize(
    "text",
    [
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"[" * 1_000_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a": "]]]]", "b": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_no_parser_holds_is_boundless(text: bytes) -> None:
    fault = fault_of(text)
    assert fault is not None
    assert fault.is_boundless


@pytest.mark.parametrize("piece", [b'"', b'"\\"', b'"",', b"[],", b"\\", b'"\\', b"{}", b'"a":[', b"\x00"])
def test_reading_takes_time_in_proportion_whatever_is_sent(piece: bytes) -> None:
    text = b"[" * 101 + piece * (2_000_000 // len(piece))
    started = time.process_time()
    fault_of(text)
    assert time.process_time() - started < 3.0
