"""Success responses → the fields of a tool's result, for planners to refer to."""

from collections import deque
from collections.abc import Sequence

from models.base import JsonObject, JsonValue
from models.tools import OutputField
from planvault.ingestion.schemas import properties_of, types_of

MAX_FIELDS = 60
MAX_DEPTH = 5
SCHEMA_NODES = 150  # of a result's schema that are read
_MAX_TEXT = 160


def output_fields(schema: JsonObject) -> tuple[OutputField, ...]:
    """Fields of a bounded, reference-free schema (SchemaCutter), breadth first: the outermost come first.

    `*` in a path stands for every item of an array. A result that is no object or array of objects is one field with
    the empty path.
    """
    fields: list[OutputField] = []
    queue: deque[tuple[tuple[str, ...], JsonObject]] = deque([((), schema)])
    while queue and len(fields) < MAX_FIELDS:
        path, node = queue.popleft()
        children = _children(node)
        if (path and path[-1] != "*") or not children:
            fields.append(_field(path, node))
        if len(path) < MAX_DEPTH:
            queue.extend(((*path, name), child) for name, child in children)
    return tuple(fields)


def _children(node: JsonObject) -> Sequence[tuple[str, JsonObject]]:
    items = node.get("items")
    if isinstance(items, dict):
        return [("*", items)]
    found = {name: child for part in _parts(node) for name, child in properties_of(part) if isinstance(child, dict)}
    return list(found.items())


def _parts(node: JsonObject) -> list[JsonObject]:
    """The schema and the members of its unions and allOf: a field of any of them may be in the result."""
    members: list[JsonValue] = []
    for key in ("allOf", "anyOf"):
        value = node.get(key)
        if isinstance(value, list):
            members.extend(value)
    return [node, *(member for member in members if isinstance(member, dict))]


def _field(path: tuple[str, ...], node: JsonObject) -> OutputField:
    types = sorted(types_of(node) - {"null"})
    if not types:
        types = ["object"] if "properties" in node else ["array"] if "items" in node else ["any"]
    description = str(node.get("description", ""))
    return OutputField(path=path, type="|".join(types), description=" ".join(description.split())[:_MAX_TEXT])
