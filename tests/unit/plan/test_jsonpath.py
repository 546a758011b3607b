"""JSONPath: RFC 9535 as far as it goes, and never more work than the budget has."""

import time
from typing import Any

import pytest

from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.standard.jsonpath import MAX_QUERY, query

SHOP: Any = {
    "books": [
        {"title": "A", "price": 5, "tags": ["x", "y"], "by": {"name": "Ann"}},
        {"title": "B", "price": 15, "tags": ["x"], "by": {"name": "Bob\nby"}},
        {"title": "C", "price": 25, "tags": []},
    ],
    "limit": 10,
    "tags": ["x"],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$.books[0].title", ["A"]),
        ("$.books[-1]['title']", ["C"]),
        ("$.books[0:2].title", ["A", "B"]),
        ("$..name", ["Ann", "Bob\nby"]),
        ("$.books[?@.price < $.limit].title", ["A"]),
        ("$.books[?@.tags == $.tags].title", ["B"]),
        ("$.books[?@.by].title", ["A", "B"]),
        ("$.books[?count(@.tags[*]) == 0].title", ["C"]),
        ("$.books[?length(@.title) == 1 && !(@.price > 5)].title", ["A"]),
        ("$.books[?match(@.by.name, 'A.*')].title", ["A"]),
        ("$.books[?match(@.by.name, 'B.*')].title", []),  # `.` is no line end (RFC 9485)
        ("$.books[?search(@.by.name, 'b.b')].title", []),
        ("$.books[?search(@.by.name, '[')].title", []),  # no regular expression matches nothing
        ("$.nothing", []),
        ("$", [SHOP]),
    ],
)
def test_a_query_selects_what_the_rfc_says(text: str, found: list[Any]) -> None:
    assert query([SHOP, text], Budget()) == found


@pytest.mark.parametrize(
    "text", ["", "books", "$.", "$.a | $.b", "$[?@.a == 'x'", "$.~", "$[?nope(@)]", "$[1e400]", "$[?1e400", "$" * 10]
)
def test_what_is_no_query_says_so_in_one_line(text: str) -> None:
    with pytest.raises(EvaluationFailed) as refused:
        query([SHOP, text], Budget())
    assert refused.value.code == "BAD_JSONPATH"
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("value", ["text", 3, None, True])
def test_a_scalar_has_no_fields(value: Any) -> None:
    assert query([value, "$.a"], Budget()) == []
    assert query([value, "$"], Budget()) == [value]


def test_text_that_spells_json_stays_text() -> None:
    assert query(['{"a": 1}', "$.a"], Budget()) == []


@pytest.mark.parametrize(
    "text",
    [
        "$..[?$..nothing]",
        "$..[?count($..*) > 0]",
        "$.." + "*.." * 6 + "*",
        "$..[?$[0].x == $[1].x]",
        "$[*" + ",*" * 200 + "][*" + ",*" * 200 + "]",
    ],
)
def test_a_query_costs_what_its_budget_has_and_no_more(text: str) -> None:
    value: Any = [{"x": [[7] * 10] * 10} for _ in range(60)]
    budget, started = Budget(50_000, 8 * 1024 * 1024), time.perf_counter()
    with pytest.raises(EvaluationFailed) as refused:
        query([value, text], budget)
    assert refused.value.code in ("STEPS_EXCEEDED", "BYTES_EXCEEDED")
    assert time.perf_counter() - started < 5


def test_a_pattern_that_backtracks_elsewhere_takes_no_longer_than_its_text() -> None:
    value: Any = [{"a": "a" * 40_000 + "!"}]
    started = time.perf_counter()
    assert query([value, "$[?match(@.a, '(a+)+$')]"], Budget()) == []
    assert time.perf_counter() - started < 5


def test_a_query_has_a_length() -> None:
    with pytest.raises(EvaluationFailed, match="characters"):
        query([SHOP, "$" + ".a" * MAX_QUERY], Budget())


def test_deep_values_and_deep_queries_are_refused_and_not_recursed_into() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    for value, text in ((deep, "$..a"), (SHOP, "$" + "[?@" * 600 + "]" * 600)):
        with pytest.raises(EvaluationFailed):
            query([value, text], Budget())
