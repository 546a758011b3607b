import pytest

from models.base import JsonObject, JsonValue
from planvault.ingestion.swagger2 import server_of
from tests.unit.ingestion.documents import only, shape, swagger


def operation(*parameters: JsonObject, **more: JsonValue) -> JsonObject:
    return swagger({"/t/{id}": {"post": {"operationId": "p", "parameters": list(parameters), **more}}})


ID: JsonObject = {"name": "id", "in": "path", "required": True, "type": "integer"}


def test_parameters_carry_their_inline_schema() -> None:
    tool = only(operation(ID, {"name": "q", "in": "query", "type": "string", "enum": ["a"], "description": "Q"}))
    assert shape(tool.params) == {"id": ("path id", True), "q": ("query q", False)}
    assert tool.params[1].schema_ == {"type": "string", "enum": ["a"]}
    assert tool.params[1].description == "Q"


@pytest.mark.parametrize(
    ("place", "collection", "style", "explode"),
    [
        ("query", None, "form", False),
        ("query", "csv", "form", False),
        ("query", "ssv", "spaceDelimited", False),
        ("query", "tsv", "tabDelimited", False),
        ("query", "pipes", "pipeDelimited", False),
        ("query", "multi", "form", True),
        ("header", "csv", "simple", False),
    ],
)
def test_collection_formats_become_styles(place: str, collection: str | None, style: str, explode: bool) -> None:
    parameter: JsonObject = {"name": "x", "in": place, "type": "array", "items": {"type": "string"}}
    if collection:
        parameter["collectionFormat"] = collection
    param = only(operation(ID, parameter)).params[1]
    assert (param.style, param.explode) == (style, explode)


def test_a_body_parameter_is_flattened_through_definitions() -> None:
    document = operation(ID, {"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}})
    document["definitions"] = {
        "Pet": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "id": {"type": "integer"}},
            "required": ["name"],
        }
    }
    tool = only(document)
    assert shape(tool.params) == {"id": ("path id", True), "name": ("body name", True), "body_id": ("body id", False)}
    assert (tool.binding.content_type, tool.binding.body_required) == ("application/json", True)


def test_a_body_that_stays_whole_keeps_its_parameter_name() -> None:
    tool = only(
        operation(ID, {"name": "lines", "in": "body", "schema": {"type": "array", "items": {"type": "string"}}})
    )
    assert shape(tool.params) == {"id": ("path id", True), "lines": ("body ", False)}


def test_form_data_becomes_a_form_with_the_collection_formats_as_encoding() -> None:
    tool = only(
        operation(
            ID,
            {"name": "a", "in": "formData", "type": "string", "required": True},
            {"name": "b", "in": "formData", "type": "array", "items": {"type": "string"}},
        )
    )
    assert tool.binding.content_type == "application/x-www-form-urlencoded"
    assert tool.binding.form_encoding == {"b": {"style": "form", "explode": False}}
    assert shape(tool.params) == {"id": ("path id", True), "a": ("body a", True), "b": ("body b", False)}


def test_a_file_makes_the_form_multipart() -> None:
    tool = only(operation(ID, {"name": "f", "in": "formData", "type": "file"}, consumes=["application/json"]))
    assert tool.binding.content_type == "multipart/form-data"
    assert tool.params[1].schema_ == {"type": "string", "format": "binary"}


def test_the_response_schema_gives_the_outputs() -> None:
    tool = only(
        operation(ID, responses={"200": {"schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}})
    )
    assert [(field.path, field.type) for field in tool.outputs] == [(("ok",), "boolean")]


@pytest.mark.parametrize(
    ("head", "server"),
    [
        ({"host": "api.example.com", "basePath": "/v1", "schemes": ["http", "https"]}, "https://api.example.com/v1"),
        ({"host": "api.example.com", "schemes": ["http"]}, "http://api.example.com"),
        ({"host": "api.example.com", "basePath": "/"}, "https://api.example.com"),
        ({"basePath": "/v1"}, "/v1"),
        ({}, ""),
    ],
)
def test_scheme_host_and_base_path_make_the_server(head: JsonObject, server: str) -> None:
    assert server_of(head) == server
