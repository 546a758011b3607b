"""Which tools feed which: the entities that a tool's inputs ask for and its outputs give. Pure.

An entity is the lexemes of what an identifier identifies, joined by `_`: `person_id`, `personId` and the `id` of
`GET /person/{id}` are all `person`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from models.tools import HttpBinding, Tool
from retrieval.text import lexemes

MAX_ENTITIES: Final = 16
# Last words of a name whose value nobody knows by heart: it comes out of another call.
_IDENTIFIERS: Final = frozenset({"id", "ids", "uuid", "guid", "slug", "key", "token", "sku", "handle", "ref"})
_PLACEHOLDER = re.compile(r"\{[^}]*\}")
# Wrappers of results: they name no entity.
_WRAPPERS: Final = frozenset(
    lexemes("results result data items item list response content records entries values objects body")
)


def required_entities(tool: Tool) -> tuple[str, ...]:
    """Of the required inputs that hold identifiers, in order, without repeats; at most MAX_ENTITIES."""
    names = [param.name for param in tool.params if param.required]
    return _bounded(entity for name in names if (entity := _entity(name, _before(tool, name))))


def produced_entities(tool: Tool) -> tuple[str, ...]:
    """Of the outputs that hold identifiers, in order, without repeats; at most MAX_ENTITIES.

    What the tool requires it does not produce: `GET /person/{person_id}` repeats the id it was given.
    """
    required = set(required_entities(tool))
    entities = (_entity(field.path[-1], _owner(tool, field.path[:-1])) for field in tool.outputs if field.path)
    return _bounded(entity for entity in entities if entity and entity not in required)


def _entity(name: str, owner: str) -> str:
    """`person_id` → `person`; a bare `id` is its owner's; '' for a name that is no identifier."""
    words = lexemes(name)
    if not words or words[-1] not in _IDENTIFIERS:
        return ""
    return "_".join(words[:-1] or lexemes(owner))


def _before(tool: Tool, name: str) -> str:
    """The path segment that a placeholder follows: `/person/{id}` → `person`."""
    segments = tool.binding.path.strip("/").split("/") if isinstance(tool.binding, HttpBinding) else []
    at = next((at for at, segment in enumerate(segments) if segment == f"{{{name}}}"), 0)
    return "" if at == 0 or _PLACEHOLDER.search(segments[at - 1]) else segments[at - 1]


def _owner(tool: Tool, path: Sequence[str]) -> str:
    """Whose `id` it is: the nearest object around it that names an entity, else the last word of the tool's path."""
    for key in reversed(path):
        if key != "*" and not _WRAPPERS.issuperset(lexemes(key)):
            return key
    segments = tool.binding.path.strip("/").split("/") if isinstance(tool.binding, HttpBinding) else [tool.name]
    return next((segment for segment in reversed(segments) if not _PLACEHOLDER.search(segment)), "")


def _bounded(entities: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entities))[:MAX_ENTITIES]
