"""The light check refuses what is certainly wrong, and nothing else."""

import pytest

from models.base import JsonObject, JsonValue
from planvault.plan.parameter_schema import allows_type, mismatch


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (1, {"type": "number"}),
        (5.0, {"type": "integer"}),
        (None, {"type": "string", "nullable": True}),
        (None, {"type": ["string", "null"]}),
        (None, {"enum": ["a"], "nullable": True}),
        ("a", {}),
        ("a", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ("x", {"type": "string", "pattern": "(a+)+$"}),
        ("x", {"type": "string", "format": "no-such-format"}),
        ({"a": 1, "extra": 2}, {"type": "object", "properties": {"a": {"type": "integer"}}}),
        ("x", {"minimum": 3}),
        (3, {"minimum": 3, "exclusiveMinimum": False}),
        ("2024-12-31T10:00:00Z", {"format": "date-time"}),
    ],
)
def test_a_value_that_may_fit_is_let_through(value: JsonValue, schema: JsonObject) -> None:
    assert mismatch(value, schema) is None


@pytest.mark.parametrize(
    ("value", "schema", "reason"),
    [
        ("5", {"type": "integer"}, "expected integer, got string"),
        (True, {"type": "integer"}, "expected integer, got boolean"),
        (5.5, {"type": "integer"}, "expected integer, got number"),
        ("re", {"enum": ["red", "blue"]}, "did you mean 'red'"),
        (1, {"enum": [True]}, "not one of"),
        (2, {"const": 1}, "must be"),
        (2, {"minimum": 3}, "at least 3"),
        (3, {"minimum": 3, "exclusiveMinimum": True}, "at least"),
        (3, {"exclusiveMinimum": 3}, "more than 3"),
        (9, {"maximum": 3}, "at most 3"),
        ("", {"minLength": 1}, "at least 1 characters"),
        ("abc", {"maxLength": 2}, "at most 2 characters"),
        ([], {"minItems": 1}, "at least 1 items"),
        ("tomorrow", {"format": "date"}, "is no date"),
        ("2024-13-45", {"format": "date"}, "is no date"),
        ("bob", {"format": "email"}, "is no email"),
        ([1, "a"], {"type": "array", "items": {"type": "integer"}}, "item 1: expected integer"),
        ({"a": "x"}, {"properties": {"a": {"type": "integer"}}}, "field 'a': expected integer"),
        ({}, {"required": ["a"]}, "needs the field 'a'"),
        ("a", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "expected integer"),
        (1, {"allOf": [{"type": "integer"}, {"minimum": 3}]}, "at least 3"),
    ],
)
def test_a_value_that_cannot_fit_is_refused_with_the_reason(value: JsonValue, schema: JsonObject, reason: str) -> None:
    assert reason in (mismatch(value, schema) or "")


def test_a_type_alone_is_judged_too() -> None:
    assert allows_type("number", {"type": "integer"}) is None
    assert allows_type("string", {"type": "integer"}) == "expected integer, got string"
    assert allows_type("string", {"anyOf": [{"type": "integer"}, {"type": "string"}]}) is None
    assert allows_type("array", {"oneOf": [{"type": "integer"}, {"type": "string"}]}) is not None


def test_a_schema_that_contains_itself_ends() -> None:
    schema: JsonObject = {"type": "array"}
    schema["items"] = schema
    value: JsonValue = []
    for _ in range(200):
        value = [value]
    assert mismatch(value, schema) is None
