"""What the built-in planner makes of prompts, over tools that it has never seen."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from models.base import JsonObject
from models.planning import PlanOutcome, PlanRequest
from models.plans import PlannerMode
from models.tools import RiskClass, Tool
from planvault.plan.compile import compile_plan
from planvault.plan.validate import tools_used
from planvault.planner.builtin.planner import plan_without_model
from tests.unit.planner.tools import LIBRARY, SHOP, tool

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def plan(
    prompt: str, tools: Sequence[Tool] = SHOP, *, context: JsonObject | None = None, secrets: tuple[str, ...] = ()
) -> PlanOutcome:
    return plan_without_model(
        PlanRequest(
            prompt=prompt,
            tools=tuple(tools),
            run_started_at=NOW,
            mode=PlannerMode.PYTHON_DSL,
            context_vars=context or {},
            secret_names=secrets,
        )
    )


def program(prompt: str, tools: Sequence[Tool] = SHOP, **known: object) -> str:
    outcome = plan(prompt, tools, **known)  # type: ignore[arg-type]
    assert outcome.plan is not None, outcome.problems
    return outcome.source


@pytest.mark.parametrize(
    ("prompt", "call"),
    [
        ("Show order 7", "get_order(order_id=7)"),
        ("What is the status of order 7?", "get_order(order_id=7)"),
        ("Please could you list all customers", "list_customers()"),
        ("list open orders", 'list_orders(status="open")'),
        ("Show me the shipped orders of customer 5", 'list_orders(customer_id=5, status="shipped")'),
        ("Who is customer 5?", "get_customer(customer_id=5)"),
        ("I want to cancel my order number 55", "cancel_order(order_id=55)"),
        ("Cancel order 12 because it is late", "cancel_order(order_id=12)"),
        ("Delete customer 3", "delete_customer(customer_id=3)"),
        (
            "Create a customer named Ada Lovelace with email ada@example.com",
            'create_customer(name="Ada Lovelace", email="ada@example.com")',
        ),
        (
            "Send an sms notification to customer 4 with message=hello",
            'send_notification(customer_id=4, message="hello", channel="sms")',
        ),
    ],
)
def test_one_call_is_planned_with_its_values(prompt: str, call: str) -> None:
    source = program(prompt)
    assert f"= {call}\n" in source
    assert source.count("\nreply(") == 1
    assert "slot(" not in source


def test_a_missing_value_becomes_a_slot_with_its_type_and_options() -> None:
    rate = tool("rate_order", "POST", "/orders/{order_id}/rating", "Rate an order",
                {"order_id": "integer", "stars": {"type": "string", "enum": ["good", "bad"]}})  # fmt: skip
    outcome = plan("Rate an order", (rate,))
    assert outcome.plan is not None
    assert [(slot.variable, slot.type.value, slot.options) for slot in outcome.plan.slots] == [
        ("order_id", "integer", ()),
        ("stars", "string", ("good", "bad")),
    ]
    assert all(slot.prompt for slot in outcome.plan.slots)


def test_an_id_is_looked_up_by_a_search_with_the_name_that_was_given() -> None:
    source = program("Show me reviews of the book 'Dune'", LIBRARY)
    assert 'search_books(query="Dune")' in source
    assert "book_reviews(book_id=first_book.id)" in source
    assert "if first_book == None:" in source


def test_an_id_is_looked_up_in_a_list_by_name_where_there_is_no_search() -> None:
    source = program('Send a notification to customer Ada saying "We are closed"')
    assert 'send_notification(customer_id=found_customer.id, message="We are closed")' in source


def test_what_is_changed_has_exactly_the_name_that_was_given() -> None:
    """A name that merely contains it would be another customer's: Ada is no Adam."""
    source = program('Send a notification to customer Ada saying "We are closed"')
    assert 'find_by(list_customers.items, "name", "==", "Ada")' in source


def test_a_name_behind_of_is_looked_up_for_an_optional_identifier() -> None:
    source = program("Show me all orders of Ada Lovelace")
    assert 'find_by(list_customers.items, "name", "contains", "Ada Lovelace")' in source
    assert "list_orders(customer_id=found_customer.id)" in source


def test_a_value_that_found_no_place_is_said_in_the_reply() -> None:
    source = program("List the customers in Atlantis")
    assert "Not used: Atlantis" in source


def test_a_position_picks_from_a_list() -> None:
    source = program("Get the second customer")
    assert 'get_field(list_customers.items, "[1]", None)' in source
    assert "get_customer(customer_id=chosen_customer.id)" in source


def test_the_nearest_noun_says_what_a_number_identifies() -> None:
    source = program("Get the customer of order 7")
    assert "get_order(order_id=7)" in source
    assert "get_customer(customer_id=get_order.customer_id)" in source


def test_clauses_run_in_order_and_refer_back() -> None:
    source = program("Get order 42; then cancel it")
    assert source.index("get_order(order_id=42)") < source.index("cancel_order(order_id=get_order.id)")


def test_two_things_with_one_verb_are_two_calls() -> None:
    source = program("Show order 7 and customer 5")
    assert "get_order(order_id=7)" in source
    assert "get_customer(customer_id=5)" in source


def test_each_is_a_loop_over_the_list_that_was_found() -> None:
    source = program("List the orders of customer 5 and cancel each of them")
    assert "for each_order in list_orders.items:" in source
    assert "    cancel_order = cancel_order(order_id=each_order.id)" in source
    assert "list_orders(customer_id=5)" in source


def test_an_enumeration_is_a_loop_over_its_values() -> None:
    source = program("cancel orders 4, 5 and 6")
    assert "for each_order_id in [4, 5, 6]:" in source


def test_reads_in_a_loop_are_gathered_for_the_reply() -> None:
    source = program("reviews of each book about Rome", LIBRARY)
    assert "append(book_reviews_all, book_reviews)" in source
    assert "reply(book_reviews_all)" in source


def test_how_many_is_answered_with_the_services_own_total() -> None:
    assert "reply(list_customers.total)" in program("How many customers are there?")


@pytest.mark.parametrize("prompt", ["Hello!", "What's the weather in Paris?", "", "   ", "🙂", "Titanic"])
def test_a_prompt_that_no_tool_answers_gets_a_reply_and_no_call(prompt: str) -> None:
    outcome = plan(prompt)
    assert outcome.plan is not None
    assert [node.kind for node in outcome.plan.body] == ["reply"]
    assert "List customers" in outcome.source


def test_without_tools_it_says_so() -> None:
    assert "no tool is enabled" in program("Show order 7", ())


@pytest.mark.parametrize(
    "prompt",
    [
        "delete the order",  # the only tool that deletes is about something else
        "orders",
        "Don't cancel order 7",
        "Never delete customer 3",
        "tell me about cancelled orders",
        "show how to delete customers",
        "remove the customer's second address 12 Main Street",  # a value without a place
        "Should I cancel order 7?",
        "Can we delete customer 3?",
        "I never asked to cancel order 7",
        "I'd rather you didn't cancel order 7",
        "undo the cancellation, no need to cancel order 7 without asking",
        "avoid to delete customer 3",
    ],
)
def test_nothing_is_changed_on_weak_evidence(prompt: str) -> None:
    assert not {"cancel_order", "delete_customer", "create_customer", "send_notification"} & called(plan(prompt))


def test_a_change_under_a_condition_is_refused_and_not_made_unconditional() -> None:
    source = program("If order 7 is open, cancel it")
    assert "cancel_order(" not in source
    assert "condition" in source


@pytest.mark.parametrize(
    "prompt", ["x" * 100_000, "show order 7 and " * 100, "cancel orders " + ", ".join(map(str, range(200)))]
)
def test_more_than_it_can_take_in_is_refused_and_not_cut_short(prompt: str) -> None:
    source = program(prompt)
    assert "more than the built-in planner takes" in source
    assert "order_id" not in source


def test_a_change_takes_no_item_that_nobody_spoke_of() -> None:
    source = program("Cancel the order")
    assert "first(" not in source
    assert "cancel_order(order_id=order_id)" in source
    assert 'order_id = slot("' in source


BUCKETS = (
    tool("get_buckets", "GET", "/buckets", "List buckets", {}, {"data": "array", "data.*.id": "string"}),
    tool("delete_buckets", "DELETE", "/buckets", "Delete every writable bucket", {"since?": "integer"}),
    tool("delete_bucket", "DELETE", "/buckets/{id}", "Delete a bucket", {"id": "string"}),
    tool("delete_collections", "DELETE", "/buckets/{bucket_id}/collections", "Delete all collections of a bucket",
         {"bucket_id": "string"}),
    tool("delete_collection", "DELETE", "/buckets/{bucket_id}/collections/{id}", "Delete a collection",
         {"bucket_id": "string", "id": "string"}),
)  # fmt: skip


@pytest.mark.parametrize(
    "prompt",
    [
        "delete the bucket library",
        "Delete the library bucket",
        "remove bucket 'library'",
        "delete the bucket",
        "delete the buckets",
        "delete all buckets except library",
        "delete every old bucket",
        "delete the collection books of bucket library",
        "clear bucket 12",
        "erase everything",
    ],
)
def test_all_of_a_kind_are_deleted_only_when_all_are_spoken_of(prompt: str) -> None:
    assert not {"delete_buckets", "delete_collections"} & called(plan(prompt, BUCKETS))


@pytest.mark.parametrize("prompt", ["delete all buckets", "remove every bucket"])
def test_all_of_a_kind_are_deleted_when_all_are_spoken_of(prompt: str) -> None:
    assert called(plan(prompt, BUCKETS)) == {"delete_buckets"}


ORDERS = (
    *SHOP,
    tool("delete_orders", "DELETE", "/orders", "Delete all orders"),
    tool("delete_order", "DELETE", "/orders/{order_id}", "Delete an order", {"order_id": "integer"}),
    tool("purge_customers", "POST", "/customers/purge", "Purge all customers", risk=RiskClass.DESTRUCTIVE),
)


@pytest.mark.parametrize(
    ("prompt", "deleted"),
    [
        ("delete all orders", {"delete_orders"}),
        ("delete all orders of customer 5", {"list_orders", "delete_order"}),
        ("delete the orders of customer 5", set()),
        ("delete customer 3's order", set()),
        ("delete all orders but not order 7", set()),
        ("delete all orders except order 7", set()),
        ("purge all customers", {"purge_customers"}),
        ("purge customer 3", set()),
    ],
)
def test_what_is_destroyed_is_what_the_order_names(prompt: str, deleted: set[str]) -> None:
    assert called(plan(prompt, ORDERS)) == deleted


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_noun_at_the_end_of_a_path_orders_nothing(method: str) -> None:
    tracks = tool("playlist_tracks", method, "/playlists/{id}/tracks", "", {"id": "integer"})
    assert called(plan("tracks of playlist 5", (tracks,))) == set()


def test_what_was_done_and_what_was_not_are_one_text() -> None:
    outcome = plan("create it\nOrder", (tool("get_0", "POST", "/orders", ""),))
    assert compile_plan(outcome.source, outcome.mode, (tool("get_0", "POST", "/orders", ""),)).plan == outcome.plan


def test_what_belongs_to_a_thing_is_not_deleted_in_its_place() -> None:
    search = tool("search_movie", "GET", "/search/movie", "Search movies", {"query": "string"},
                  {"results": "array", "results.*.id": "integer", "results.*.title": "string"})  # fmt: skip
    rate = tool("rate_movie", "POST", "/movie/{movie_id}/rating", "Rate a movie",
                {"movie_id": "integer", "value": "number"})  # fmt: skip
    unrate = tool("delete_movie_rating", "DELETE", "/movie/{movie_id}/rating", "Delete the rating of a movie",
                  {"movie_id": "integer"})  # fmt: skip
    movies = (search, rate, unrate)
    assert "delete_movie_rating" not in called(plan("delete the movie Dune", movies))
    assert "delete_movie_rating" not in called(plan("rate the movie Dune 8.5", movies))
    assert "value=8.5" in program("rate the movie Dune 8.5", movies)
    assert "delete_movie_rating" in called(plan("delete my rating of the movie Dune", movies))


def test_a_change_takes_no_item_of_a_list_that_only_belongs_to_what_was_named() -> None:
    source = program("cancel orders of customer 5")
    assert "first(" not in source
    assert "cancel_order(order_id=order_id)" in source


def test_looking_something_up_never_changes_anything() -> None:
    maker = tool("make_token", "POST", "/tokens", "Make a token", {}, {"token_id": "string"})
    user = tool("get_token", "GET", "/tokens/{token_id}", "Get a token", {"token_id": "string"})
    assert "make_token(" not in program("show token", (maker, user))


def test_known_values_of_the_session_fill_parameters() -> None:
    assert "get_customer(customer_id=9)" in program("show the customer", context={"customerId": 9})


def test_a_credential_parameter_takes_the_secret_of_its_name() -> None:
    rates = tool("get_rates", "GET", "/rates", "Get rates", {"api_key": "string"})
    source = program("get rates", (rates,), secrets=("RATES_API_KEY", "OTHER"))
    assert 'get_rates(api_key="{{secrets.RATES_API_KEY}}")' in source


def test_the_same_request_gives_the_same_plan() -> None:
    assert plan("List the orders of customer 5 and cancel each of them") == plan(
        "List the orders of customer 5 and cancel each of them"
    )


def called(outcome: PlanOutcome) -> set[str]:
    assert outcome.plan is not None, outcome.problems
    return set(tools_used(outcome.plan))
