"""Links of the OpenAPI document (OpenAPI 3.1, 4.8.20): what a call's answer names, and which calls take it.

Derived, so that a new route has them: what `POST /things` makes, and what `GET /things` lists first, is what the routes
below `/things/{thingId}` are about. What is named elsewhere is written down here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from models.base import JsonObject, JsonValue

_ADMIN = "/admin/v1/orgs/{orgId}"
_METHODS = ("get", "post", "put", "patch", "delete")


class _Call(NamedTuple):
    method: str
    path: str
    operation: JsonObject


_ELSEWHERE: Mapping[tuple[str, str], tuple[tuple[str, str, str], ...]] = {
    ("post", f"{_ADMIN}/tools"): (("get", f"{_ADMIN}/imports/{{importId}}", "importId"),),
    ("put", f"{_ADMIN}/tools/{{toolId}}"): (("get", f"{_ADMIN}/imports/{{importId}}", "importId"),),
}
"""(method, path) of the call that names → (method, path, parameter) of those that take it."""


def add_links(document: JsonObject) -> None:
    """Write links into the answers of `document`, which is an OpenAPI document as FastAPI makes it."""
    calls = list(_calls(document))
    by_route = {(call.method, call.path): call for call in calls}
    for call in calls:
        for target, parameter, field in _targets(call, calls, document):
            _link(call, target, parameter, field)
        for method, path, parameter in _ELSEWHERE.get((call.method, call.path), ()):
            if (method, path) in by_route:
                _link(call, by_route[method, path], parameter, parameter)


def _targets(call: _Call, calls: list[_Call], document: JsonObject) -> Iterator[tuple[_Call, str, str]]:
    """Calls below what `call` names, the parameter that they take, and where it stands in the answer."""
    if call.method not in ("get", "post"):
        return
    below = call.path + "/{"
    fields = _fields(call, document)
    for target in calls:
        if not target.path.startswith(below):
            continue
        parameter = target.path.removeprefix(below).partition("}")[0]
        for name in (parameter, "id", f"items/0/{parameter}", "items/0/id"):
            if name in fields:
                yield target, parameter, name
                break


def _link(call: _Call, target: _Call, parameter: str, field: str) -> None:
    answer = _answer(call)
    known = {name: f"$request.path.{name}" for name in _parameters(target.path) if name in _parameters(call.path)}
    links = answer.setdefault("links", {})
    assert isinstance(links, dict)
    operation = target.operation["operationId"]
    assert isinstance(operation, str)
    links[operation] = {
        "operationId": operation,
        "parameters": {**known, parameter: f"$response.body#/{field}"},
    }


def _calls(document: JsonObject) -> Iterator[_Call]:
    for path, operations in _object(document["paths"]).items():
        for method, operation in _object(operations).items():
            if method in _METHODS:
                yield _Call(method, path, _object(operation))


def _answer(call: _Call) -> JsonObject:
    """The answer of success."""
    answers = _object(call.operation["responses"])
    return _object(answers[min(answers)])


def _fields(call: _Call, document: JsonObject) -> frozenset[str]:
    """Names at the top of the answer, and `items/0/NAME` of a page."""
    answers = _object(call.operation["responses"])
    if not min(answers).startswith("2"):
        return frozenset()
    content = _object(_object(answers[min(answers)]).get("content", {}))
    schema = _resolved(_object(content.get("application/json", {})).get("schema"), document)
    found = _object(schema.get("properties", {}))
    items = _resolved(_resolved(found.get("items"), document).get("items"), document)
    return frozenset([*found, *(f"items/0/{name}" for name in _object(items.get("properties", {})))])


def _resolved(schema: JsonValue, document: JsonObject) -> JsonObject:
    """The schema itself, without unions: an empty one where there is none."""
    found = schema if isinstance(schema, dict) else {}
    reference = found.get("$ref")
    if not isinstance(reference, str):
        return found
    return _object(_object(_object(document["components"])["schemas"])[reference.rpartition("/")[2]])


def _parameters(path: str) -> list[str]:
    return [piece.partition("}")[0] for piece in path.split("{")[1:]]


def _object(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value
