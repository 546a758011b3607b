"""BM25 weights of a tool's fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tools import ParamLocation, ToolParam
from retrieval.documents import index_entry
from retrieval.lexical import MAX_LEXEMES, impacts_of, inverse_document_frequency
from tests.unit.retrieval.tool_factory import http_tool


def test_a_name_says_more_than_a_description_and_that_more_than_a_parameter() -> None:
    tool = http_tool("refundOrder", path="/orders", group="shop", description="Pays back.", params=("reason",))
    impacts = impacts_of(tool)
    assert impacts["refund"] > impacts["pay"] > impacts["reason"] > 0
    assert all(0 < impact < 1 for impact in impacts.values())


def test_the_values_that_a_parameter_may_have_are_words_of_the_tool() -> None:
    plain = ToolParam(name="sort", location=ParamLocation.QUERY, schema_={"enum": ["cheapest", 5, None]})
    items = ToolParam(name="tags", location=ParamLocation.QUERY, schema_={"type": "array", "items": {"enum": ["eco"]}})
    tool = http_tool("list").model_copy(update={"params": (plain, items)})
    assert {"cheapest", "eco"} <= impacts_of(tool).keys()


def test_a_summary_that_the_description_repeats_counts_once() -> None:
    once = http_tool("a", description="Cancel an order. Now.")
    twice = http_tool("a", summary="Cancel an order.", description="Cancel an order. Now.")
    assert impacts_of(once) == impacts_of(twice)


def test_no_tool_fills_the_index() -> None:
    tool = http_tool("a", description=" ".join(f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in range(5_000)))
    assert len(impacts_of(tool.model_copy(update={"summary": " ".join(f"x{n}y" for n in range(900))}))) <= MAX_LEXEMES


def test_a_rare_lexeme_tells_more_and_one_in_every_tool_still_tells_something() -> None:
    rare, common = inverse_document_frequency(1_000, 1), inverse_document_frequency(1_000, 1_000)
    assert rare > inverse_document_frequency(1_000, 10) > common > 0
    assert inverse_document_frequency(0, 0) > 0
    assert inverse_document_frequency(5, 9) == pytest.approx(inverse_document_frequency(5, 5))


@given(st.text(max_size=80), st.text(max_size=200))
def test_any_words_make_an_entry_of_their_own_alone(group: str, description: str) -> None:
    tool = http_tool("listOrders", group=group, description=description, params=("orderId",))
    entry = index_entry(tool)
    assert entry == index_entry(tool)
    assert "order" in entry.impacts
    assert all(0 < impact < 1 for impact in entry.impacts.values())
