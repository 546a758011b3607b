"""flatten → arguments → request → read back: what the service receives is what the schema's author meant."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.base import JsonObject, JsonValue
from models.tools import HttpBinding, ParamLocation, ToolParam
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec
from planvault.tools.request import build_request

BASE = "https://api.example.com"

keys = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
scalars: st.SearchStrategy[JsonValue] = st.one_of(
    texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)


@st.composite
def schema_and_value(draw: st.DrawFn, depth: int = 3) -> tuple[JsonObject, JsonValue]:
    """An object schema of nested objects and leaves, and a value of it in which optional parts may be missing."""
    properties: JsonObject = {}
    value: JsonObject = {}
    required: list[JsonValue] = []
    for key in draw(st.lists(keys, min_size=1, max_size=4, unique=True)):
        if depth > 0 and draw(st.booleans()):
            child, inner = draw(schema_and_value(depth - 1))
        else:
            child, inner = draw(leaf())
        properties[key] = child
        if draw(st.booleans()):
            required.append(key)
            value[key] = inner
        elif carries_a_value(child, inner) and draw(st.booleans()):
            value[key] = inner
    return {"type": "object", "properties": properties, "required": required}, value


def carries_a_value(schema: JsonObject, value: JsonValue) -> bool:
    """Whether a parameter stands anywhere in it: an optional object of empty objects is spelled by no argument."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not isinstance(value, dict):
        return True
    return any(carries_a_value(child, value[key]) for key, child in properties.items() if key in value)


@st.composite
def leaf(draw: st.DrawFn) -> tuple[JsonObject, JsonValue]:
    match draw(st.sampled_from(["scalar", "array", "map", "null"])):
        case "array":
            return {"type": "array", "items": {}}, draw(st.lists(scalars, max_size=3))
        case "map":
            return {"type": "object", "additionalProperties": {}}, draw(st.dictionaries(keys, scalars, max_size=2))
        case "null":
            return {"type": ["string", "null"]}, None
        case _:
            return {}, draw(scalars)


def leaves_of(value: JsonValue, params: tuple[ToolParam, ...]) -> dict[str, JsonValue]:
    """The arguments that spell a body: what stands at each parameter's path."""
    found = {}
    for param in params:
        node: Any = value
        for key in param.body_path:
            node = node[key] if isinstance(node, dict) and key in node else ...
        if node is not ...:
            found[param.name] = node
    return found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema_and_value())
def test_a_json_body_survives_flattening_and_building(drawn: tuple[JsonObject, JsonValue]) -> None:
    schema, value = drawn
    operation: JsonObject = {
        "operationId": "o",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }
    document: JsonObject = {"openapi": "3.1.0", "info": {}, "paths": {"/t": {"post": operation}}}
    [tool] = extract(parse_spec(json.dumps(document))).drafts
    request = build_request(tool.binding, tool.params, leaves_of(value, tool.params), BASE)
    assert request.content is not None
    assert json.loads(request.content) == value


def one(location: str, style: str | None, explode: bool | None, name: str = "p") -> tuple[HttpBinding, ToolParam]:
    path = "/a/{p}/z" if location == "path" else "/a"
    param = ToolParam(
        name="p",
        location=ParamLocation(location),
        wire_name=name,
        style=style,
        explode=explode,
        required=location == "path",
    )
    return HttpBinding(method="GET", path=path), param


def built(location: str, style: str | None, explode: bool | None, value: JsonValue, name: str = "p") -> str:
    binding, param = one(location, style, explode, name)
    return build_request(binding, [param], {"p": value}, BASE).url


# Any text at all: nothing in a value may end its segment, its parameter or the query.
@given(texts.filter(lambda text: text not in {"", ".", ".."}))
def test_any_text_comes_back_from_a_path(value: str) -> None:
    path = urlsplit(built("path", None, None, value)).path
    _, a, segment, z = path.split("/")
    assert (a, unquote(segment), z) == ("a", value, "z")


@given(st.lists(texts, min_size=1, max_size=4).filter(lambda items: items not in ([""], ["."], [".."])))
def test_any_list_comes_back_from_a_simple_path(value: list[str]) -> None:
    segment = urlsplit(built("path", "simple", False, list(value))).path.split("/")[2]
    assert [unquote(part) for part in segment.split(",")] == value


@given(keys, texts)
def test_any_text_comes_back_from_a_query(name: str, value: str) -> None:
    query = urlsplit(built("query", None, None, value, name)).query
    assert [(unquote(key), unquote(text)) for key, _, text in [query.partition("=")]] == [(name, value)]


@given(st.lists(texts, min_size=1, max_size=4))
def test_any_list_comes_back_from_an_exploded_query(value: list[str]) -> None:
    query = urlsplit(built("query", "form", True, list(value))).query
    assert [text for _, text in parse_qsl(query, keep_blank_values=True)] == value


@given(
    st.sampled_from([("form", ","), ("spaceDelimited", "%20"), ("pipeDelimited", "%7C"), ("tabDelimited", "%09")]),
    st.lists(st.text("abc,", min_size=1, max_size=5), min_size=1, max_size=4),
)
def test_any_list_comes_back_from_a_delimited_query(style: tuple[str, str], value: list[str]) -> None:
    name, delimiter = style
    query = urlsplit(built("query", name, False, list(value))).query
    assert [unquote(part) for part in query.removeprefix("p=").split(delimiter)] == value


@given(st.dictionaries(keys, texts, min_size=1, max_size=4))
def test_any_object_comes_back_from_a_deep_query(value: Mapping[str, str]) -> None:
    query = urlsplit(built("query", "deepObject", True, dict(value))).query
    pairs = [pair.partition("=") for pair in query.split("&")]
    assert {unquote(key.removeprefix("p%5B").removesuffix("%5D")): unquote(text) for key, _, text in pairs} == value


@given(st.dictionaries(keys, texts, min_size=1, max_size=4))
def test_any_object_comes_back_from_a_form(value: Mapping[str, str]) -> None:
    params = [ToolParam(name=f"p{i}", location=ParamLocation.BODY, body_path=(key,)) for i, key in enumerate(value)]
    binding = HttpBinding(method="POST", path="/", content_type="application/x-www-form-urlencoded")
    args: dict[str, JsonValue] = {f"p{i}": text for i, text in enumerate(value.values())}
    content = build_request(binding, params, args, BASE).content
    assert content is not None
    assert dict(parse_qsl(content.decode(), keep_blank_values=True, strict_parsing=True)) == value
