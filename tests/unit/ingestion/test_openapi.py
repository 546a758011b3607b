import json
import time

import jsonschema
import pytest

from models.base import JsonObject, JsonValue
from models.tools import ApprovalPolicy, Idempotency, RiskClass
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec
from planvault.plan.names import RESERVED
from tests.unit.ingestion.documents import extracted, only, openapi, posting, shape

TEXT: JsonObject = {"type": "string"}


def getting(path: str = "/things", **operation: JsonValue) -> JsonObject:
    return openapi({path: {"get": {"operationId": "read", **operation}}})


def test_the_operation_id_names_the_tool_and_the_first_tag_its_group() -> None:
    tool = only(getting(operationId="pets.find-by/tag", tags=["pet", "x"], summary=" Finds ", deprecated=True))
    assert (tool.name, tool.tag, tool.summary, tool.deprecated) == ("pets_find_by_tag", "pet", "Finds", True)


def test_operations_without_an_id_are_named_by_method_and_path() -> None:
    found = extracted(openapi({"/orders/{orderId}/lines": {"get": {}, "post": {}}}))
    assert [tool.name for tool in found.drafts] == ["get_orders_by_orderId_lines", "post_orders_by_orderId_lines"]
    assert "There is no operationId" in found.drafts[0].problems[-1]


def test_an_operation_id_used_twice_gives_two_names_and_a_problem() -> None:
    found = extracted(openapi({"/a": {"get": {"operationId": "x"}}, "/b": {"get": {"operationId": "x"}}}))
    assert [tool.name for tool in found.drafts] == ["x", "x_2"]
    assert found.drafts[0].problems == ()
    assert "used more than once" in found.drafts[1].problems[0]


def test_no_tool_takes_a_word_of_the_plan_language() -> None:
    paths: JsonObject = {f"/{i}": {"get": {"operationId": word}} for i, word in enumerate(sorted(RESERVED))}
    names = {tool.name for tool in extracted(openapi(paths)).drafts}
    assert len(names) == len(RESERVED)
    assert not names & RESERVED


def test_long_names_stay_within_64_characters_and_unique() -> None:
    found = extracted(openapi({f"/{i}": {"get": {"operationId": "x" * 300}} for i in range(12)}))
    names = [tool.name for tool in found.drafts]
    assert len(set(names)) == 12
    assert max(map(len, names)) == 64


def test_an_operation_parameter_overrides_the_path_item_one() -> None:
    document = openapi(
        {
            "/t": {
                "parameters": [
                    {"name": "n", "in": "query", "schema": TEXT},
                    {"name": "m", "in": "query", "schema": TEXT},
                ],
                "get": {
                    "operationId": "g",
                    "parameters": [{"name": "n", "in": "query", "required": True, "schema": {"type": "integer"}}],
                },
            }
        }
    )
    tool = only(document)
    assert shape(tool.params) == {"n": ("query n", True), "m": ("query m", False)}
    assert tool.params[0].schema_ == {"type": "integer"}


def test_credentials_and_headers_of_the_client_are_no_parameters() -> None:
    names = ["Authorization", "X-Api-Key", "Accept", "Content-Type", "Cookie", "X-Trace", "Host"]
    document = openapi(
        {
            "/t": {
                "get": {
                    "operationId": "g",
                    "parameters": [
                        *({"name": name, "in": "header", "required": True, "schema": TEXT} for name in names),
                        {"name": "api_key", "in": "query", "required": True, "schema": TEXT},
                    ],
                }
            }
        },
        components={
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "query": {"type": "apiKey", "in": "query", "name": "api_key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            }
        },
    )
    found = extracted(document)
    assert shape(found.drafts[0].params) == {"X_Trace": ("header X-Trace", True)}
    assert '"?api_key": "{{secrets.NAME}}"' in found.notes[1]
    assert '"Authorization": "Bearer {{secrets.NAME}}"' in found.notes[2]


def test_a_path_parameter_nobody_declared_is_a_string() -> None:
    tool = only(getting("/a/{id}"))
    assert shape(tool.params) == {"id": ("path id", True)}
    assert "not declared" in tool.problems[0]


def test_a_template_in_the_paths_query_is_a_query_parameter() -> None:
    parameters: JsonValue = [{"name": "f", "in": "path", "required": True, "schema": TEXT}]
    tool = only(getting("/export?format=csv&filename={f}", parameters=parameters))
    assert shape(tool.params) == {"filename": ("query filename", True)}
    assert tool.binding.path == "/export?format=csv"


def test_the_media_type_we_speak_best_is_chosen() -> None:
    content: JsonObject = {
        "application/xml": {"schema": {"type": "object", "properties": {"wrong": TEXT}}},
        "application/vnd.x+json": {"schema": {"type": "object", "properties": {"right": TEXT}}},
    }
    tool = only(openapi({"/t": {"post": {"operationId": "p", "requestBody": {"content": content}}}}))
    assert tool.binding.content_type == "application/vnd.x+json"
    assert set(shape(tool.params)) == {"right"}


def test_form_properties_that_are_objects_stay_whole() -> None:
    tool = posting(
        {"type": "object", "properties": {"a": TEXT, "meta": {"type": "object", "properties": {"x": TEXT}}}},
        media="application/x-www-form-urlencoded",
    )
    assert set(shape(tool.params)) == {"a", "meta"}


def test_the_result_lists_its_fields_outermost_first_without_write_only_ones() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "total": {"type": "integer", "description": "How\n many"},
        },
    }
    item: JsonObject = {
        "type": "object",
        "properties": {
            "id": TEXT,
            "pin": {"type": "string", "writeOnly": True},
            "self": {"$ref": "#/components/schemas/Item"},
        },
    }
    document = openapi(
        {
            "/t": {
                "get": {
                    "operationId": "g",
                    "responses": {"404": {}, "200": {"content": {"application/json": {"schema": schema}}}},
                }
            }
        },
        components={"schemas": {"Item": item}},
    )
    assert [(field.path, field.type, field.description) for field in only(document).outputs] == [
        (("items",), "array", ""),
        (("total",), "integer", "How many"),
        (("items", "*", "id"), "string", ""),
        (("items", "*", "self"), "object", "Recursive, cut here."),
    ]


def test_an_array_result_is_described_by_its_items() -> None:
    schema: JsonObject = {"type": "array", "items": {"type": "object", "properties": {"id": TEXT}}}
    tool = only(getting(responses={"200": {"content": {"application/json": {"schema": schema}}}}))
    assert [field.path for field in tool.outputs] == [("*", "id")]


def test_extensions_overrule_what_the_method_says() -> None:
    operation: JsonObject = {
        "operationId": "search",
        "x-planvault-idempotency": "safe",
        "x-planvault-risk": "read",
        "x-planvault-approval": "always",
    }
    tool = only(openapi({"/search": {"post": operation}}))
    assert (tool.idempotency, tool.risk, tool.approval_policy) == (
        Idempotency.SAFE,
        RiskClass.READ,
        ApprovalPolicy.ALWAYS,
    )


def test_a_documented_idempotency_header_makes_the_tool_keyed_and_is_no_parameter() -> None:
    parameters: JsonValue = [{"name": "Idempotency-Key", "in": "header", "schema": TEXT}]
    tool = only(openapi({"/pay": {"post": {"operationId": "pay", "parameters": parameters}}}))
    assert (tool.idempotency, tool.binding.idempotency_header) == (Idempotency.KEYED, "Idempotency-Key")
    assert tool.params == ()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_writing_methods_start_without_idempotency(method: str) -> None:
    assert only(openapi({"/t": {method: {"operationId": "w"}}})).idempotency is Idempotency.NONE


def test_schemas_become_plain_json_schema() -> None:
    old: JsonObject = {"type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": True, "example": 3}
    new: JsonObject = {"type": "integer", "anyOf": [{"type": "integer"}], "xml": {"name": "x"}}
    tool = posting(
        {
            "type": "object",
            "properties": {"old": old, "ref": {"allOf": [{"$ref": "#/components/schemas/C"}]}, "new": new},
        },
        components={"schemas": {"C": {"type": "string", "enum": ["a", "b"]}}},
    )
    schemas = {param.name: param.schema_ for param in tool.params}
    assert schemas["old"] == {"type": ["integer", "null"], "exclusiveMinimum": 0, "examples": [3]}
    assert schemas["ref"] == {"type": "string", "enum": ["a", "b"]}
    assert "$ref" not in json.dumps(schemas)


def test_a_cut_schema_refuses_nothing_that_the_whole_one_accepts() -> None:
    whole: JsonObject = {
        "type": "object",
        "oneOf": [{"$ref": "#/components/schemas/Gone"}, {"type": "object", "properties": {"x": TEXT}}],
        "not": {"$ref": "#/components/schemas/Gone"},
        "properties": {f"p{i}": TEXT for i in range(300)},
        "additionalProperties": False,
    }
    [param] = posting({"type": "array", "items": whole}).params
    jsonschema.validate([{"x": "1", "p299": "y"}], param.schema_)


def test_every_property_gets_its_share_of_the_budget() -> None:
    deep: JsonObject = {
        "type": "object",
        "properties": {f"d{i}": {"$ref": "#/components/schemas/Deep"} for i in range(9)},
    }
    deeper: JsonObject = {"type": "object", "properties": {f"x{i}": {"type": "array", "items": deep} for i in range(9)}}
    last: JsonObject = {"type": "integer"}
    one: JsonObject = {"type": "object", "properties": {"first": deeper, "second": deeper, "last": last}}
    tool = posting({"type": "array", "items": one}, components={"schemas": {"Deep": deeper}})
    items = tool.params[0].schema_["items"]
    assert isinstance(items, dict)
    properties = items["properties"]
    assert isinstance(properties, dict)
    assert properties["last"] == last
    assert len(str(properties["second"])) > 500


# ── hostile documents ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_external_reference_costs_its_operation_only() -> None:
    found = extracted(
        openapi(
            {
                "/bad": {"get": {"operationId": "bad", "parameters": [{"$ref": "http://169.254.169.254/latest#/x"}]}},
                "/file": {"post": {"operationId": "file", "requestBody": {"$ref": "../../etc/passwd"}}},
                "/good": {"get": {"operationId": "good"}},
            }
        )
    )
    assert [tool.name for tool in found.drafts] == ["good"]
    assert [report.operation for report in found.skipped] == ["GET /bad", "POST /file"]
    assert all("external reference" in report.problems[0] for report in found.skipped)


def test_a_broken_reference_inside_a_schema_is_reported_and_accepts_anything() -> None:
    tool = posting({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Gone"}, "b": TEXT}})
    assert tool.params[0].schema_ == {}
    assert "points at nothing" in tool.problems[0]


def test_json_pointer_escapes_are_honoured() -> None:
    tool = posting(
        {"$ref": "#/components/schemas/a~1b~0c%20d"},
        components={"schemas": {"a/b~c d": {"type": "object", "properties": {"x": TEXT}}}},
    )
    assert set(shape(tool.params)) == {"x"}


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"$ref": "#/components/schemas/A"}},
        {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}},
        {"A": {"type": "array", "items": {"$ref": "#/components/schemas/A"}}},
        {"A": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}, "required": ["a"]}},
        {"A": {"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]}},
        {"A": {"additionalProperties": {"$ref": "#/components/schemas/A"}}},
        {"A": {"$ref": "#/components"}},
        {"A": {"$ref": "#"}},
    ],
)
def test_cycles_end(schemas: JsonObject) -> None:
    found = extracted(
        openapi(
            {
                "/t": {
                    "post": {
                        "operationId": "p",
                        "requestBody": {
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}
                        },
                        "responses": {
                            "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
                        },
                    }
                }
            },
            components={"schemas": schemas},
        )
    )
    assert len(found.drafts) + len(found.skipped) == 1
    assert len(found.model_dump_json()) < 100_000


def test_schemas_that_double_at_every_step_stay_small_and_quick() -> None:
    schemas: JsonObject = {
        f"S{i}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/components/schemas/S{i + 1}"} for side in ("l", "r")},
            "additionalProperties": {"$ref": f"#/components/schemas/S{i + 1}"},
        }
        for i in range(60)
    }
    started = time.perf_counter()
    tool = posting({"$ref": "#/components/schemas/S0"}, components={"schemas": schemas})
    assert time.perf_counter() - started < 5
    assert len(tool.model_dump_json()) < 200_000


JUNK: list[JsonValue] = [None, True, 0, "x", [], {}, [None], {"$ref": 7}, {"$ref": "#/x"}, [[[]]], {"a": {"b": []}}]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    "place",
    [
        *("paths", "servers", "components", "info", "path", "operation", "parameters", "parameter", "schema"),
        *("requestBody", "content", "media", "responses", "response", "tags", "operationId", "properties", "property"),
        *("required", "allOf", "enum", "type", "securitySchemes", "scheme", "description", "encoding"),
    ],
)
def test_nothing_in_a_document_crashes_the_import(place: str, junk: JsonValue) -> None:
    def put(name: str, value: JsonValue) -> JsonValue:
        return junk if name == place else value

    schema = put(
        "schema",
        {
            "type": put("type", "object"),
            "properties": put("properties", {"a": put("property", TEXT)}),
            "required": put("required", ["a"]),
            "allOf": put("allOf", [TEXT]),
            "enum": put("enum", ["x"]),
            "description": put("description", "d"),
        },
    )
    content = put("content", {"application/json": put("media", {"schema": schema, "encoding": put("encoding", {})})})
    operation = put(
        "operation",
        {
            "operationId": put("operationId", "o"),
            "tags": put("tags", ["t"]),
            "parameters": put("parameters", [put("parameter", {"name": "q", "in": "query", "schema": schema})]),
            "requestBody": put("requestBody", {"content": content}),
            "responses": put("responses", {"200": put("response", {"content": content})}),
        },
    )
    paths = put("paths", {"/ok": {"get": {"operationId": "ok"}}, "/t": put("path", {"post": operation})})
    holder = put("components", {"securitySchemes": put("securitySchemes", {"s": put("scheme", {"type": "apiKey"})})})
    for head in ({"openapi": "3.1.0"}, {"swagger": "2.0"}):
        document: JsonObject = {
            **head,
            "info": put("info", {}),
            "servers": put("servers", []),
            "paths": paths,
            "components": holder,
        }
        found = extract(parse_spec(json.dumps(document)))
        assert not any("malformed" in report.problems[0] for report in found.skipped)
        assert place == "paths" or any(tool.name == "ok" for tool in found.drafts)
