"""A light check of values against a tool's JSON Schema: types, enums, bounds, a few formats.

Light on purpose: imported schemas are other people's, so no pattern is run (catastrophic regular expressions), nothing
is fetched, and an unknown keyword never makes a value wrong. The service has the last word at run time.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date

from models.base import JsonObject, JsonValue
from planvault.plan.inference import json_type
from planvault.plan.problems import nearest, shown

_MAX_DEPTH = 32

_FORMATS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "date": (re.compile(r"\d{4}-\d{2}-\d{2}"), "2024-12-31"),
    "date-time": (re.compile(r"\d{4}-\d{2}-\d{2}[Tt ].{5,}"), "2024-12-31T23:59:59Z"),
    "uuid": (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "01890a5d-ac96-774b-bcce-b302099a8057"),
    "email": (re.compile(r"[^@\s]+@[^@\s]+"), "name@example.com"),
}


def mismatch(value: JsonValue, schema: JsonObject, depth: int = 0) -> str | None:
    """Why `value` does not fit, as the end of a sentence; None if it may fit."""
    if depth > _MAX_DEPTH or (value is None and schema.get("nullable") is True):
        return None
    reason = allows_type(json_type(value), schema, value)
    if reason:
        return reason
    return (
        _values(value, schema)
        or _bounds(value, schema)
        or _inside(value, schema, depth)
        or _choice(schema, lambda option: mismatch(value, option, depth + 1))
    )


def allows_type(kind: str, schema: JsonObject, value: JsonValue = None) -> str | None:
    """Why no value of this JSON type fits; None if one may."""
    allowed = _types(schema)
    if allowed and kind not in allowed and not _fits_as_number(kind, allowed, value):
        return f"expected {' or '.join(sorted(allowed))}, got {kind}"
    if kind == "null" and schema.get("nullable") is True:
        return None
    return _choice(schema, lambda option: allows_type(kind, option, value), keys=("anyOf", "oneOf"))


def _types(schema: JsonObject) -> set[str]:
    found = schema.get("type")
    names = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    allowed = {name for name in names if isinstance(name, str)}
    return allowed | {"null"} if allowed and schema.get("nullable") is True else allowed


def _fits_as_number(kind: str, allowed: set[str], value: JsonValue) -> bool:
    """An integer is a number; 5.0 is an integer to JSON Schema, and a number of unknown value may be one."""
    if kind == "integer":
        return "number" in allowed
    return (
        kind == "number"
        and "integer" in allowed
        and (value is None or (isinstance(value, float) and value == int(value)))
    )


def _values(value: JsonValue, schema: JsonObject) -> str | None:
    options = schema.get("enum")
    if isinstance(options, list) and options and not any(_same(value, option) for option in options):
        close = nearest(value, [o for o in options if isinstance(o, str)]) if isinstance(value, str) else None
        listed = f"did you mean {close!r}?" if close else ", ".join(repr(option) for option in options[:12])
        return f"not one of the allowed values: {listed}"
    if "const" in schema and not _same(value, schema["const"]):
        return f"must be {shown(str(schema['const']))}"
    return None


def _same(a: JsonValue, b: JsonValue) -> bool:
    return a == b and isinstance(a, bool) is isinstance(b, bool)


def _bounds(value: JsonValue, schema: JsonObject) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number_bounds(value, schema)
    if isinstance(value, str):
        return _length(len(value), schema, "minLength", "maxLength", "characters") or _format(value, schema)
    if isinstance(value, list):
        return _length(len(value), schema, "minItems", "maxItems", "items")
    return None


def _number_bounds(value: int | float, schema: JsonObject) -> str | None:
    low, high = _limit(schema, "minimum"), _limit(schema, "maximum")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum") is True)):
        return f"must be at least {low}"
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum") is True)):
        return f"must be at most {high}"
    low, high = _limit(schema, "exclusiveMinimum"), _limit(schema, "exclusiveMaximum")
    if low is not None and value <= low:
        return f"must be more than {low}"
    return f"must be less than {high}" if high is not None and value >= high else None


def _length(size: int, schema: JsonObject, least: str, most: str, unit: str) -> str | None:
    low, high = _limit(schema, least), _limit(schema, most)
    if low is not None and size < low:
        return f"needs at least {low} {unit}"
    return f"takes at most {high} {unit}" if high is not None and size > high else None


def _limit(schema: JsonObject, key: str) -> int | float | None:
    found = schema.get(key)
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def _format(value: str, schema: JsonObject) -> str | None:
    name = schema.get("format")
    form = _FORMATS.get(name) if isinstance(name, str) else None
    if form is None or (form[0].fullmatch(value) and (not str(name).startswith("date") or _is_day(value[:10]))):
        return None
    return f"is no {name}, such as {form[1]}"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _inside(value: JsonValue, schema: JsonObject, depth: int) -> str | None:
    items, properties = schema.get("items"), schema.get("properties")
    if isinstance(value, list) and isinstance(items, dict):
        reasons = ((i, mismatch(entry, items, depth + 1)) for i, entry in enumerate(value))
        return next((f"item {i}: {reason}" for i, reason in reasons if reason), None)
    if not isinstance(value, dict):
        return None
    known = properties if isinstance(properties, dict) else {}
    for key, entry in value.items():
        inner = known.get(key)
        reason = mismatch(entry, inner, depth + 1) if isinstance(inner, dict) else None
        if reason:
            return f"field {shown(key)}: {reason}"
    required = schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return next((f"needs the field {shown(name)}" for name in names if name not in value), None)


def _choice(
    schema: JsonObject, check: Callable[[JsonObject], str | None], keys: tuple[str, ...] = ("anyOf", "oneOf", "allOf")
) -> str | None:
    """One branch of anyOf and oneOf must fit (which of several is left to the service), every branch of allOf."""
    for key in keys:
        found = schema.get(key)
        branches = [branch for branch in found if isinstance(branch, dict)] if isinstance(found, list) else []
        reasons = [check(branch) for branch in branches]
        failed = [reason for reason in reasons if reason]
        if failed and (key == "allOf" or len(failed) == len(reasons)):
            return failed[0]
    return None
