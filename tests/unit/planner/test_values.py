"""Which values a prompt spells out."""

from datetime import UTC, datetime

import pytest

from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.values import mentions

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def found(text: str, *vocabulary: str) -> list[tuple[object, Kind]]:
    return [(mention.value, mention.kind) for mention in mentions(text, NOW, vocabulary)]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ('say "Hello there" now', "Hello there", Kind.QUOTED),
        ("say 'it is late' now", "it is late", Kind.QUOTED),
        ("write to ada@example.com.", "ada@example.com", Kind.EMAIL),
        ("open https://example.org/a?b=1, please", "https://example.org/a?b=1", Kind.URL),
        ("show order 42", 42, Kind.INTEGER),
        ("pay 1,250.50 now", 1250.5, Kind.NUMBER),
        ("show ORD-1001", "ORD-1001", Kind.CODE),
        ("close ticket #77", "77", Kind.CODE),
        ("find 6f9619ff-8b86-4d01-b42d-00c04fc964ff", "6f9619ff-8b86-4d01-b42d-00c04fc964ff", Kind.UUID),
        ("on 2026-02-03 please", "2026-02-03", Kind.DATE),
        ("on August 15, 2026", "2026-08-15", Kind.DATE),
        ("on 3rd March 2026", "2026-03-03", Kind.DATE),
        ("do it tomorrow", "2026-05-02", Kind.DATE),
        ("find the customer Ada Lovelace", "Ada Lovelace", Kind.NAME),
        ("read The Lord of the Rings", "The Lord of the Rings", Kind.NAME),
        ("set status=open", "open", Kind.PHRASE),
        ("notify her saying we are closed", "we are closed", Kind.TAIL),
        ("the second season", 2, Kind.ORDINAL),
    ],
)
def test_a_value_is_found_with_its_kind(text: str, value: object, kind: Kind) -> None:
    assert found(text) == [(value, kind)]


def test_capital_letters_that_begin_a_sentence_or_belong_to_the_tools_are_no_names() -> None:
    assert found("Pause the player. Show TV shows.", "tv", "show") == []
    assert found("What is the weather?") == []


def test_an_impossible_date_is_no_value() -> None:
    assert (None, Kind.DATE) not in found("on 2026-02-31")


def test_what_stands_before_a_value_is_its_hint_and_a_stated_key_wins() -> None:
    (number,) = mentions("cancel order number 55", NOW)
    assert number.hints[:2] == ("number", "order")
    (named,) = mentions("create a list called Groceries", NOW)
    assert (named.value, named.key) == ("Groceries", "name")


def test_an_enumeration_is_one_series_with_the_hints_of_its_first_value() -> None:
    values = mentions("cancel orders 4, 5 and 6", NOW)
    assert [value.value for value in values] == [4, 5, 6]
    assert len({value.series for value in values}) == 1
    assert all(value.hints[0] == "orders" for value in values)
    assert [value.series for value in mentions("order 4 of customer 5", NOW)] == [0, 0]
