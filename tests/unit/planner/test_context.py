"""What a model is told: signatures and names, never payloads or secret values."""

from datetime import UTC, datetime

from models.planning import PlanRequest
from planvault.planner.context import OUTPUT_FIELDS, request_text, schema_text, signature
from tests.unit.planner.tools import CREATE_CUSTOMER, GET_ORDER, LIST_CUSTOMERS, LIST_ORDERS, tool

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_signature_shows_types_enums_and_which_parameters_are_required() -> None:
    text = signature(LIST_ORDERS)
    assert "list_orders [read]: List orders" in text
    assert "customer_id: integer, optional" in text
    assert 'status: "open" | "shipped" | "cancelled", optional' in text
    assert "email: string (email), required" in signature(CREATE_CUSTOMER)


def test_only_the_first_output_fields_are_shown() -> None:
    many = tool("many", "GET", "/many", "Many", {}, {f"field{number}": "string" for number in range(20)})
    assert signature(many).count("field") == OUTPUT_FIELDS
    assert "items[].name: string" in signature(LIST_CUSTOMERS)


def test_long_descriptions_and_enums_are_cut() -> None:
    assert "…" in signature(tool("t", "GET", "/t", "x" * 5_000))
    assert len(schema_text({"enum": list(range(1_000))})) < 200
    assert schema_text({"type": "array", "items": {"type": "string"}}) == "array of string"
    assert schema_text({"type": ["string", "null"]}) == "string|null"


def test_a_request_names_secrets_context_time_and_instruction() -> None:
    text = request_text(
        PlanRequest(
            prompt="Show order 7",
            tools=(GET_ORDER,),
            secret_names=("SHOP_TOKEN",),
            context_vars={"customerId": 5},
            run_started_at=NOW,
            instruction="Be careful.",
        )
    )
    assert text.startswith("Be careful.")
    assert "{{secrets.SHOP_TOKEN}}" in text
    assert '{"customerId": 5}' in text
    assert "2026-05-01T12:00:00+00:00" in text
    assert text.rstrip().endswith("Show order 7")


def test_dollar_signs_and_braces_of_a_prompt_stay_as_they_are() -> None:
    assert "costs $5 ${tools} {{x}}" in request_text(
        PlanRequest(prompt="costs $5 ${tools} {{x}}", tools=(), run_started_at=NOW)
    )
