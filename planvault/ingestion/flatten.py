"""Request bodies → flat parameters. `planvault.tools.body` puts the arguments back together.

An object whose properties are all declared becomes one parameter a property, nested objects included. What has no
fixed shape stays one parameter with its schema: arrays, unions, maps, objects that allow further properties.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.base import JsonObject, JsonValue
from planvault.ingestion.dereference import RefProblem, Resolver
from planvault.ingestion.schemas import Direction, SchemaCutter, properties_of, required_of, types_of

MAX_DEPTH = 6
MAX_LEAVES = 100
_MAX_PARTS = 50  # members of allOf, nested ones included

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One flat parameter of a body: where it goes, its bounded schema, whether the body is invalid without it."""

    path: Path
    schema: JsonObject
    required: bool
    description: str = ""


@dataclass(frozen=True, slots=True)
class FlatBody:
    """`required_objects`: objects that their parent requires, parents first; they exist when their parent does."""

    leaves: tuple[Leaf, ...]
    required_objects: tuple[Path, ...]


@dataclass(slots=True)
class Merged:
    """A schema with its references followed and its allOf merged; `seen` are the references that led to it."""

    schema: JsonObject
    seen: tuple[str, ...]
    properties: dict[str, JsonValue] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    is_open: bool = False  # has a shape that properties alone do not tell

    @property
    def is_flat_object(self) -> bool:
        types = types_of(self.schema)
        return bool(self.properties) and not self.is_open and (not types or "object" in types)


@dataclass(slots=True)
class _Pending:
    path: Path
    raw: JsonValue
    seen: tuple[str, ...]
    required: bool  # by every ancestor
    required_by_parent: bool


class Flattener:
    """Flattens the schemas of one operation."""

    def __init__(self, resolver: Resolver, cutter: SchemaCutter) -> None:
        self._resolver = resolver
        self._cutter = cutter

    def flatten(self, raw: JsonValue, *, required: bool, max_depth: int = MAX_DEPTH) -> FlatBody:
        """Breadth first, so that when the count runs out it is the deep objects that stay whole.

        Raises RefProblem where the body's own reference cannot be followed; inside, a broken schema is `{}`.
        """
        self._resolver.follow(raw)
        leaves: list[Leaf] = []
        objects: list[Path] = []
        queue = deque([_Pending((), raw, (), required, required)])
        count = 1
        while queue:
            item = queue.popleft()
            merged = self._try_merge(item)
            if (
                merged is None
                or not merged.is_flat_object
                or len(item.path) >= max_depth
                or count - 1 + len(merged.properties) > MAX_LEAVES
            ):
                leaves.append(self._leaf(item))
                continue
            count += len(merged.properties) - 1
            if item.path and item.required_by_parent:
                objects.append(item.path)
            needed = frozenset(merged.required)
            for name, child in merged.properties.items():
                is_needed = name in needed
                queue.append(_Pending((*item.path, name), child, merged.seen, item.required and is_needed, is_needed))
        return FlatBody(tuple(leaves), tuple(objects))

    def _try_merge(self, item: _Pending) -> Merged | None:
        try:
            merged = self.merge(item.raw, item.seen)
        except RefProblem:
            return None  # the cutter meets the same reference and reports it
        merged.properties = {
            name: child
            for name, child in merged.properties.items()
            if not self._cutter.is_hidden(child, Direction.INPUT)
        }
        return merged

    def _leaf(self, item: _Pending) -> Leaf:
        schema = self._cutter.cut(item.raw, Direction.INPUT, item.seen)
        return Leaf(item.path, schema, item.required, str(schema.get("description", "")))

    def merge(self, raw: JsonValue, seen: Sequence[str] = ()) -> Merged:
        """Follow references, merge allOf, unwrap a union of one member and null. Raises RefProblem on a cycle."""
        node, passed = self._resolver.follow(raw)
        _refuse_cycle(passed, seen)
        merged = Merged(node, (*seen, *passed))
        merged.is_open = "discriminator" in node  # the base of a hierarchy: which subtype is meant is not known
        self._merge_into(merged, node, merged.seen, _MAX_PARTS)
        return merged

    def _merge_into(self, merged: Merged, node: JsonObject, enclosing: Sequence[str], parts_left: int) -> int:
        """`enclosing`: the references around this part; two parts beside each other may name the same base."""
        own = dict(properties_of(node))
        merged.properties.update(own)
        merged.required.extend(required_of(node))
        merged.is_open = merged.is_open or _is_open(node)
        if not types_of(merged.schema) and "type" in node:
            merged.schema = {**merged.schema, "type": node["type"]}
        for part in (*_members(node, "allOf"), *self._only_choices(merged, node)):
            if parts_left <= 0:
                merged.is_open = True
                break
            inner, passed = self._resolver.follow(part)
            _refuse_cycle(passed, enclosing)
            merged.seen = tuple(dict.fromkeys((*merged.seen, *passed)))
            parts_left = self._merge_into(merged, inner, (*enclosing, *passed), parts_left - 1)
        merged.properties.update(own)  # what an object says itself is narrower than what its parts say
        return parts_left

    def _only_choices(self, merged: Merged, node: JsonObject) -> list[JsonValue]:
        """The one member beside null of each union; a union with a real choice leaves the object open."""
        chosen = []
        for key in ("oneOf", "anyOf"):
            members = [member for member in _members(node, key) if not _is_null(member)]
            if len(members) == 1:
                chosen.append(members[0])
            elif any(not _is_constraint(member) for member in members):
                merged.is_open = True
        return chosen


def _refuse_cycle(passed: Sequence[str], enclosing: Sequence[str]) -> None:
    if not set(passed).isdisjoint(enclosing):
        raise RefProblem(f"`{passed[-1]}` contains itself.")


def _members(node: JsonObject, key: str) -> list[JsonValue]:
    members = node.get(key)
    return members if isinstance(members, list) else []


def _is_null(member: JsonValue) -> bool:
    return isinstance(member, dict) and member.get("type") == "null"


def _is_constraint(member: JsonValue) -> bool:
    """A union member that only says which properties belong together (`{"required": […]}`)."""
    return isinstance(member, dict) and set(member) <= {"required", "not", "description", "title"}


def _is_open(node: JsonObject) -> bool:
    further = node.get("additionalProperties")
    return further is True or isinstance(further, dict) or "patternProperties" in node
