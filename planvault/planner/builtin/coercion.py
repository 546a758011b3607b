"""Whether a value of a prompt may stand for a parameter, and in which form."""

from datetime import date
from decimal import Decimal

from models.base import JsonObject, JsonScalar
from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.values import Mention

_TEXT = frozenset({Kind.QUOTED, Kind.NAME, Kind.TAIL, Kind.PHRASE, Kind.CODE})
_BY_FORMAT = {
    "email": frozenset({Kind.EMAIL}),
    "uri": frozenset({Kind.URL}),
    "url": frozenset({Kind.URL}),
    "uuid": frozenset({Kind.UUID}),
    "date": frozenset({Kind.DATE, Kind.DATETIME}),
    "date-time": frozenset({Kind.DATE, Kind.DATETIME}),
}


def schema_type(schema: JsonObject) -> str:
    """The JSON type a schema asks for; the first that is not null; `any` where it does not say."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), None)
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    members = enum_of(schema)
    return "string" if members and all(isinstance(member, str) for member in members) else "any"


def enum_of(schema: JsonObject) -> tuple[JsonScalar, ...]:
    """The members that can be sent: documents list numbers as the members of strings."""
    members = schema.get("enum")
    if not isinstance(members, list):
        return ()
    scalars = [each for each in members if each is None or isinstance(each, (bool, int, float, str))]
    return tuple(each for each in scalars if schema.get("type") != "string" or isinstance(each, str))


def items_of(schema: JsonObject) -> JsonObject:
    items = schema.get("items")
    return items if isinstance(items, dict) else {}


def coerce(mention: Mention, schema: JsonObject) -> JsonScalar:
    """The mention as a scalar of the schema, or None where it is of another kind."""
    if "enum" in schema:
        said = str(mention.value).casefold()
        return next((member for member in enum_of(schema) if str(member).casefold() == said), None)
    match schema_type(schema):
        case "integer":
            return _bounded(_integer(mention), schema)
        case "number":
            return _bounded(_number(mention), schema)
        case "string" | "any":
            return _string(mention, schema)
        case _:
            return None


def _string(mention: Mention, schema: JsonObject) -> JsonScalar:
    form = schema.get("format")
    allowed = _BY_FORMAT.get(form) if isinstance(form, str) else None
    if allowed is not None and mention.kind not in allowed and mention.kind not in (Kind.QUOTED, Kind.PHRASE):
        return None
    text = str(mention.value)
    if form == "date":
        return _iso_date(text[:10])
    if form == "date-time" and mention.kind is Kind.DATE:
        return f"{text}T00:00:00Z"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if (isinstance(shortest, int) and len(text) < shortest) or (isinstance(longest, int) and len(text) > longest):
        return None
    return text


def _integer(mention: Mention) -> int | None:
    if isinstance(mention.value, int):
        return mention.value
    text = str(mention.value)
    return int(text) if mention.kind in _TEXT and text.isascii() and text.isdigit() and len(text) <= 18 else None


def _number(mention: Mention) -> float | int | None:
    if isinstance(mention.value, (int, float)):
        return mention.value
    return _integer(mention)


def _bounded(number: float | int | None, schema: JsonObject) -> float | int | None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if number is None:
        return None
    if isinstance(low, (int, float)) and Decimal(number) < Decimal(low):
        return None
    return None if isinstance(high, (int, float)) and Decimal(number) > Decimal(high) else number


def _iso_date(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
