"""Where a prompt's intents begin and end."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.clauses import MAX_CLAUSES, clause_spans


def clauses(text: str) -> list[str]:
    return [text[start:end] for start, end in clause_spans(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Cancel my last order and refund the shipping costs", ["Cancel my last order", "refund the shipping costs"]),
        ("List open invoices. Then send them to Ann!", ["List open invoices.", "Then send them to Ann!"]),
        (
            "find hotels in Rome; book a table\ncall a taxi home",
            ["find hotels in Rome;", "book a table", "call a taxi home"],
        ),
        (
            "Storniere meine Bestellung und schicke mir eine Rechnung",
            ["Storniere meine Bestellung", "schicke mir eine Rechnung"],
        ),
        (
            "顧客の注文をキャンセルして、請求書を送ってください。",
            ["顧客の注文をキャンセルして", "請求書を送ってください"],
        ),
        ("取消我昨天的订单，然后给我发送发票", ["取消我昨天的订单", "然后给我发送发票"]),
    ],
)
def test_sentences_conjunctions_lists_and_lines_part_intents(text: str, found: list[str]) -> None:
    assert clauses(text) == found


@pytest.mark.parametrize("text", ["", "   ", "weather", "show me the weather in Rome", "Rome and Paris", "注文"])
def test_a_single_intent_has_no_clauses(text: str) -> None:
    assert clauses(text) == []


def test_marks_within_quotes_do_not_part() -> None:
    assert clauses('Search for "war and peace, the novel" in books, then order a copy of it') == [
        'Search for "war and peace, the novel" in books',
        "order a copy of it",
    ]
    assert clauses("I don't know Bob's age and can't ask his mother") == [
        "I don't know Bob's age",
        "can't ask his mother",
    ]


def test_of_many_clauses_the_longest_are_kept_in_order() -> None:
    found = clauses(". ".join(f"please do task number {'x' * number}" for number in range(1, 30)))
    assert len(found) == MAX_CLAUSES
    assert found == sorted(found, key=len)


@given(st.text(max_size=400) | st.text(alphabet="ab ,.;\n\"'and、「」", max_size=400))
def test_spans_lie_inside_the_text_in_order_and_apart(text: str) -> None:
    spans = clause_spans(text)
    assert len(spans) <= MAX_CLAUSES
    assert len(spans) != 1
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    assert edges == sorted(edges)
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize("unit", [" ", ", ", '"', "' ", " and", "\n", "「", ";  "])
def test_reading_hostile_text_takes_no_longer_than_its_length(unit: str) -> None:
    began = time.process_time()
    clause_spans(unit * 100_000)
    assert time.process_time() - began < 0.5
