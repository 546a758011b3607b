"""The text that stands for a tool in the vector index."""

import time

import pytest

from models.tools import NativeBinding
from retrieval.documents import MAX_DESCRIPTION, MAX_DOCUMENT, MAX_PARAMETERS, tool_document, words_of
from tests.unit.retrieval.tool_factory import http_tool


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("getOrderById", "get order by id"),
        ("list_customer_orders", "list customer orders"),
        ("getHTTPResponseCode", "get http response code"),
        ("GET_movie-movie_id-keywords", "get movie movie id keywords"),
        ("shop/orders", "shop orders"),
        ("", ""),
    ],
)
def test_names_are_split_into_words(name: str, words: str) -> None:
    assert words_of(name) == words


def test_a_document_holds_name_group_texts_method_path_and_parameters() -> None:
    tool = http_tool(
        "cancelOrder",
        method="DELETE",
        path="/orders/{orderId}",
        group="shop/orders",
        summary="Cancel an order.",
        description="Stops an order that has not shipped.",
        params=("orderId", "reason"),
    )

    assert tool_document(tool) == (
        "cancel order (shop orders). Cancel an order. Stops an order that has not shipped. "
        "DELETE /orders/{orderId}. Parameters: order id, reason"
    )


def test_a_description_that_repeats_the_summary_is_said_once() -> None:
    tool = http_tool("ping", summary="Checks life.", description="Checks life. Answers pong.")

    assert tool_document(tool).count("Checks life") == 1


def test_a_tool_without_http_has_no_method_and_path() -> None:
    tool = http_tool("merge").model_copy(update={"binding": NativeBinding(function="merge")})

    assert tool_document(tool) == "merge (shop)"


def test_markup_and_link_targets_are_left_out() -> None:
    tool = http_tool("x", description="#### Notes\nSee **the** [guide](https://example.com/a?b=c) <br/> `now`")

    document = tool_document(tool)

    assert "Notes See the guide now" in document
    assert "example.com" not in document


def test_a_long_description_does_not_push_path_and_parameters_out() -> None:
    tool = http_tool("find", path="/find", description="word " * 5_000, params=tuple(f"p{i}" for i in range(500)))

    document = tool_document(tool)

    assert "GET /find" in document
    assert document.count("word") <= MAX_DESCRIPTION // 5 + 1
    assert document.count(",") == MAX_PARAMETERS - 1
    assert len(document) <= MAX_DOCUMENT


def test_a_long_path_is_bounded_as_well() -> None:
    assert len(tool_document(http_tool("find", path="/" + "a/" * 10_000))) <= MAX_DOCUMENT


@pytest.mark.parametrize("unit", ["\n", " ", "[", "![", "[](", "<", "\n ", "\n-"])
def test_markup_that_never_ends_takes_no_longer_than_its_length(unit: str) -> None:
    tool = http_tool("find", description=f"a\n{unit * 2_000}x"[:2_000])
    began = time.process_time()
    for _ in range(20):
        tool_document(tool)
    assert time.process_time() - began < 0.25


def test_lines_of_tables_and_rules_are_left_out() -> None:
    tool = http_tool("x", description="| a | b |\n  |---|:--|  \n| c | d |\n\n \n----\nend - of it")

    assert tool_document(tool).startswith("x (shop). a b c d end - of it")
