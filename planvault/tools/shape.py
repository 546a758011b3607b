"""What a stored result looks like, for people and events: types, field names and lengths, no values. Pure."""

from __future__ import annotations

from models.base import JsonObject, JsonValue

_FIELDS = 50
_NAME = 100  # characters of a field's name


def shape_of(value: JsonValue, depth: int = 3) -> JsonObject:
    """`{type, fields?, length?, items?}`; of a list its length and the shape of its first item."""
    if isinstance(value, dict):
        shape: JsonObject = {"type": "object", "length": len(value)}
        if depth > 0:
            shown = list(value.items())[:_FIELDS]
            shape["fields"] = {name[:_NAME]: shape_of(item, depth - 1) for name, item in shown}
        return shape
    if isinstance(value, list):
        shape = {"type": "array", "length": len(value)}
        if depth > 0 and value:
            shape["items"] = shape_of(value[0], depth - 1)
        return shape
    if isinstance(value, str):
        return {"type": "string", "length": len(value)}
    if value is None or isinstance(value, bool):
        return {"type": "null" if value is None else "boolean"}
    return {"type": "integer" if isinstance(value, int) else "number"}
