"""OpenAPI and Swagger schemas → plain, acyclic, bounded JSON Schema."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import islice

from models.base import JsonObject, JsonValue
from planvault.ingestion.dereference import RefProblem, Resolver

MAX_PARAM_NODES = 400  # subschemas in one parameter's schema
MAX_OPERATION_NODES = 3_000  # … in all schemas of one operation
MAX_DEPTH = 10
MAX_TEXT = 600  # characters of a description inside a schema
MAX_ENUM = 300
MAX_MEMBERS = 200  # properties of one object, members of one union
_EXAMINED = 1_000  # properties that are looked at before giving up on an object


class Direction(StrEnum):
    """Which way a value travels: read-only properties are not sent, write-only ones do not come back."""

    INPUT = "input"
    OUTPUT = "output"


_SCALAR_KEYS = frozenset(
    {"type", "format", "title", "description", "default", "const", "pattern", "deprecated", "multipleOf"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}
    | {"uniqueItems", "minProperties", "maxProperties", "contentEncoding", "contentMediaType"}
)


# What makes a schema more than its own keywords.
_STRUCTURE = frozenset(
    {"$ref", "properties", "required", "items", "additionalProperties", "nullable"}
    | {"allOf", "oneOf", "anyOf", "prefixItems"}
)


class SchemaCutter:
    """Turns OpenAPI schemas into plain JSON Schema without references: cycles, depth and size are cut to `{}`.

    A cut place accepts anything, so a cut schema refuses no value that the whole one would accept. OpenAPI 3.0 and
    Swagger spellings (`nullable`, boolean `exclusiveMinimum`) become JSON Schema. Problems are collected in `problems`.
    """

    def __init__(self, resolver: Resolver, problems: list[str]) -> None:
        self._resolver = resolver
        self._problems = problems
        self._operation = _Budget(MAX_OPERATION_NODES)

    def cut(
        self, schema: JsonValue, direction: Direction, seen: tuple[str, ...] = (), nodes: int = MAX_PARAM_NODES
    ) -> JsonObject:
        """`seen`: the references that led here, which must not be followed again."""
        return self._node(schema, direction, frozenset(seen), 0, _Budget(nodes, self._operation))

    def _node(
        self, raw: JsonValue, direction: Direction, seen: frozenset[str], depth: int, budget: "_Budget"
    ) -> JsonObject:
        if not isinstance(raw, dict) or depth > MAX_DEPTH or not budget.take():
            return {}
        if _STRUCTURE.isdisjoint(raw):  # most are: a plain string or number
            return plain_keywords(raw)
        try:
            node, passed = self._resolver.follow(raw)
        except RefProblem as problem:
            self._problems.append(str(problem))
            return {}
        if seen.intersection(passed):
            return {"type": "object", "description": "Recursive, cut here."} if "properties" in node else {}
        inner = seen.union(passed)
        result = plain_keywords(node)
        for key in ("items", "additionalProperties"):
            value = node.get(key)
            if isinstance(value, bool):
                result[key] = value
            elif isinstance(value, dict):
                result[key] = self._node(value, direction, inner, depth + 1, budget)
        for key, members in _compositions(node):
            shares = budget.shares(len(members))
            result[key] = [
                self._node(member, direction, inner, depth + 1, share)
                for member, share in zip(members, shares, strict=True)
            ]
        self._properties(node, result, direction, inner, depth, budget)
        cut = _without_null_branch(self._requiring(node, _merged(result)))
        return _with_null(cut) if node.get("nullable") is True and not types_of(node) else cut

    def _requiring(self, node: JsonObject, merged: JsonObject) -> JsonObject:
        """What one part of an `allOf` requires of another's properties; those that do not travel are not required."""
        parts, properties = node.get("allOf"), merged.get("properties")
        if not isinstance(parts, list) or not isinstance(properties, dict) or "allOf" in merged:
            return merged
        stated = [*required_of(node), *(name for part in parts[:MAX_MEMBERS] for name in self._required_by(part))]
        required: list[JsonValue] = [name for name in dict.fromkeys(stated) if name in properties]
        return {**merged, "required": required} if required else merged

    def _required_by(self, part: JsonValue) -> list[str]:
        try:
            return required_of(self._resolver.follow(part)[0])
        except RefProblem:
            return []  # reported where the part itself is cut

    def _properties(
        self,
        node: JsonObject,
        result: JsonObject,
        direction: Direction,
        seen: frozenset[str],
        depth: int,
        budget: "_Budget",
    ) -> None:
        shown = [(name, raw) for name, raw in properties_of(node) if not self.is_hidden(raw, direction)]
        if len(shown) > MAX_MEMBERS:
            shown = shown[:MAX_MEMBERS]
            result.pop("additionalProperties", None)
        kept: JsonObject = {
            name: self._node(raw, direction, seen, depth + 1, share)
            for (name, raw), share in zip(shown, budget.shares(len(shown)), strict=True)
        }
        if kept:
            result["properties"] = kept
        required: list[JsonValue] = [name for name in required_of(node) if name in kept]
        if required:
            result["required"] = required

    def is_hidden(self, raw: JsonValue, direction: Direction) -> bool:
        """Whether a property does not travel this way."""
        try:
            node, _ = self._resolver.follow(raw)
        except RefProblem:
            return False
        return node.get("readOnly" if direction is Direction.INPUT else "writeOnly") is True


class _Budget:
    """Subschemas that may still be kept, here and in whatever this is a part of."""

    def __init__(self, nodes: int, whole: "_Budget | None" = None) -> None:
        self._left = nodes
        self._whole = whole

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0 and (self._whole is None or self._whole.take())

    def shares(self, parts: int) -> "Iterator[_Budget]":
        """An equal part of what is left for each in turn, so that the first does not use up what the last needs."""
        for done in range(parts):
            yield _Budget(max(self._left // (parts - done), 1), self)


def _compositions(node: JsonObject) -> Iterator[tuple[str, list[JsonValue]]]:
    """`oneOf` becomes `anyOf`: a value fits more than one of several cut members. `not` is left out for that reason."""
    for key, name in (("allOf", "allOf"), ("oneOf", "anyOf"), ("anyOf", "anyOf"), ("prefixItems", "prefixItems")):
        members = node.get(key)
        if isinstance(members, list) and members and (name != "anyOf" or len(members) <= MAX_MEMBERS):
            yield name, members[:MAX_MEMBERS]


def properties_of(node: Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    properties = node.get("properties")
    if isinstance(properties, dict):
        yield from islice(properties.items(), _EXAMINED)


def required_of(node: Mapping[str, JsonValue]) -> list[str]:
    required = node.get("required")  # a boolean in drafts before 4, which many Swagger documents still write
    if not isinstance(required, list):
        return []
    return [name for name in islice(required, _EXAMINED) if isinstance(name, str)]


def types_of(node: Mapping[str, JsonValue]) -> frozenset[str]:
    """The stated JSON types; empty when the schema states none."""
    stated = node.get("type")
    names = stated if isinstance(stated, list) else [stated]
    types = frozenset(name for name in names if isinstance(name, str))
    return types | {"null"} if types and node.get("nullable") is True else types


def plain_keywords(node: Mapping[str, JsonValue]) -> JsonObject:
    """A schema's own keywords that hold no subschemas, in JSON Schema's spelling, long texts shortened."""
    result: JsonObject = {
        key: value for key, value in node.items() if key in _SCALAR_KEYS and value is not None and value != ""
    }
    if not isinstance(node.get("type"), str) or node.get("nullable") is True:
        types = sorted(types_of(node))
        if types:
            result["type"] = types[0] if len(types) == 1 else list[JsonValue](types)
        else:
            result.pop("type", None)
    for key in ("description", "title"):
        if key in result:
            result[key] = str(result[key])[:MAX_TEXT]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        # OpenAPI 3.0 has a boolean here, JSON Schema the bound itself.
        if isinstance(result.get(exclusive), bool) and result.pop(exclusive) is True and bound in result:
            result[exclusive] = result.pop(bound)
    enum = node.get("enum")
    if isinstance(enum, list) and 0 < len(enum) <= MAX_ENUM:
        result["enum"] = [*enum, None] if node.get("nullable") is True and None not in enum else list(enum)
    example = node.get("example")
    if isinstance(example, str | int | float) and len(str(example)) <= 80:
        result["examples"] = [example]
    return result


def _merged(schema: JsonObject) -> JsonObject:
    """`allOf` folded into the schema around it, unless two parts contradict each other."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    result = {key: value for key, value in schema.items() if key != "allOf"}
    for part in parts:
        if not isinstance(part, dict):
            return schema
        for key, value in part.items():
            mine = result.get(key)
            if isinstance(mine, dict) and isinstance(value, dict) and key == "properties":
                result[key] = {**value, **mine}
            elif isinstance(mine, list) and isinstance(value, list) and key == "required":
                result[key] = [*mine, *(name for name in value if name not in mine)]
            elif key not in result:
                result[key] = value
            elif mine != value and key not in {"description", "title", "examples", "default"}:
                return schema
    return result


def _with_null(schema: JsonObject) -> JsonObject:
    """`nullable: true` beside `allOf` or a union of 3.0. By its letter it says nothing there; documents mean it."""
    types = types_of(schema)
    parts = schema.get("allOf")
    if isinstance(parts, list):
        return {"anyOf": [schema, {"type": "null"}]}
    result = dict(schema)
    if types:
        result["type"] = list[JsonValue](sorted(types | {"null"}))
    members, enum = schema.get("anyOf"), schema.get("enum")
    if isinstance(members, list):
        result["anyOf"] = [*members, {"type": "null"}]
    if isinstance(enum, list) and None not in enum:
        result["enum"] = [*enum, None]
    return result


def _without_null_branch(schema: JsonObject) -> JsonObject:
    """`anyOf: [X, null]` → X that may be null."""
    members = schema.get("anyOf")
    if not isinstance(members, list):
        return schema
    others = [member for member in members if not (isinstance(member, dict) and member.get("type") == "null")]
    only = others[0] if len(others) == 1 else None
    if not isinstance(only, dict) or set(schema) & (set(only) - {"description", "title", "examples", "default"}):
        return schema
    result = {**only, **{name: value for name, value in schema.items() if name != "anyOf"}}
    types = sorted(types_of(only) | ({"null"} if len(others) < len(members) else set()))
    if types_of(only):
        result["type"] = types[0] if len(types) == 1 else list[JsonValue](types)
    return result
