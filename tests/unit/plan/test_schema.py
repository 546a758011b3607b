import json

import jsonschema
import pytest

from models.base import JsonObject
from planvault.plan.schema import node_fields, response_format, wire_schema
from tests.unit.plan.strict_mode import violations

OBJECT: JsonObject = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def test_the_schema_keeps_the_rules_of_strict_mode() -> None:
    assert violations(wire_schema()) == []


@pytest.mark.parametrize(
    "bad",
    [
        {**OBJECT, "additionalProperties": True},
        {**OBJECT, "properties": {"a": {"type": "string"}}},
        {**OBJECT, "properties": {"a": {"oneOf": [{"type": "string"}]}}, "required": ["a"]},
        {**OBJECT, "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {**OBJECT, "properties": {"a": {"type": "array"}}, "required": ["a"]},
        {"anyOf": [OBJECT]},
    ],
)
def test_the_checker_of_those_rules_finds_what_breaks_them(bad: JsonObject) -> None:
    assert violations(bad)


def test_the_schema_is_a_valid_draft_2020_schema_and_small() -> None:
    jsonschema.Draft202012Validator.check_schema(wire_schema())
    assert len(json.dumps(wire_schema())) < 4_000


def test_every_node_says_its_id_and_kind_first_so_that_a_grammar_commits_early() -> None:
    nodes = wire_schema()["properties"]["nodes"]["items"]["anyOf"]  # type: ignore[index,call-overload]
    assert [list(node["properties"])[:2] for node in nodes] == [["id", "kind"]] * len(node_fields())


def test_each_call_returns_a_copy_that_callers_may_change() -> None:
    wire_schema().clear()
    assert wire_schema()["type"] == "object"


def test_the_response_format_asks_for_strictness() -> None:
    envelope = response_format()["json_schema"]
    assert isinstance(envelope, dict)
    assert envelope["strict"] is True
    assert envelope["schema"] == wire_schema()
