"""OpenAI's rules for strict structured outputs, as a checker.

Source: platform.openai.com/docs/guides/structured-outputs, "Supported schemas". A schema that breaks one of them is
answered with 400 by the vendor, so they are checked here.
"""

from collections.abc import Iterator

from models.base import JsonObject, JsonValue

KEYWORDS = {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "description"}
TYPES = {"string", "number", "boolean", "integer", "object", "array", "null"}
MAX_PROPERTIES, MAX_DEPTH, MAX_TEXT, MAX_ENUM = 5_000, 10, 120_000, 1_000


def violations(schema: JsonObject) -> list[str]:
    found = list(_walk(schema, "$", 1))
    if schema.get("type") != "object" or "anyOf" in schema:
        found.append("$: the root must be an object and no anyOf")
    nodes = list(_schemas(schema))
    if sum(len(_mapping(node.get("properties"))) for node in nodes) > MAX_PROPERTIES:
        found.append("$: too many properties")
    if sum(len(_list(node.get("enum"))) for node in nodes) > MAX_ENUM:
        found.append("$: too many enum values")
    names = (name for node in nodes for name in _mapping(node.get("properties")))
    if sum(map(len, names)) + sum(len(str(v)) for node in nodes for v in _list(node.get("enum"))) > MAX_TEXT:
        found.append("$: too much text in names and enums")
    return found


def _walk(node: JsonObject, path: str, depth: int) -> Iterator[str]:
    unknown = node.keys() - KEYWORDS
    if unknown:
        yield f"{path}: unsupported keywords {sorted(unknown)}"
    if depth > MAX_DEPTH:
        yield f"{path}: nested deeper than {MAX_DEPTH}"
        return
    kinds = node.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind is not None and kind not in TYPES:
            yield f"{path}: no such type {kind}"
    if kinds is None and "anyOf" not in node and "enum" not in node and "const" not in node:
        yield f"{path}: says nothing of the type"
    if kinds == "object":
        yield from _object(node, path)
    if kinds == "array" and not isinstance(node.get("items"), dict):
        yield f"{path}: an array must say its items"
    for name, inner in _children(node):
        yield from _walk(inner, f"{path}.{name}", depth + (1 if node.get("type") == "object" else 0))


def _object(node: JsonObject, path: str) -> Iterator[str]:
    if node.get("additionalProperties") is not False:
        yield f"{path}: additionalProperties must be false"
    if sorted(map(str, _list(node.get("required")))) != sorted(_mapping(node.get("properties"))):
        yield f"{path}: every property must be required"


def _children(node: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for name, inner in _mapping(node.get("properties")).items():
        if isinstance(inner, dict):
            yield name, inner
    items = node.get("items")
    if isinstance(items, dict):
        yield "items", items
    for position, inner in enumerate(_list(node.get("anyOf"))):
        if isinstance(inner, dict):
            yield f"anyOf[{position}]", inner


def _schemas(node: JsonObject) -> Iterator[JsonObject]:
    yield node
    for _, inner in _children(node):
        yield from _schemas(inner)


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
