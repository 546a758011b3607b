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
_READS: Final = frozenset({"GET", "HEAD", "POST"})  # many searches are sent with POST
_PLACEHOLDER = re.compile(r"\{[^}]*\}")
# Wrappers of results: they name no entity.
_WRAPPERS: Final = frozenset(
    lexemes("results result data items item list response content records entries values objects body")
)


def required_entities(tool: Tool) -> tuple[str, ...]:
    """Of the required inputs that hold identifiers, in order, without repeats; at most MAX_ENTITIES."""
    names = [param.name for param in tool.params if param.required]
    return _bounded(entity for name in names if (entity := _identified(name, _owner_of_input(tool, name))))


def produced_entities(tool: Tool) -> tuple[str, ...]:
    """Of the objects in the output and the identifiers among its fields, in order, without repeats; at most
    MAX_ENTITIES. Where the definition does not say what comes out: of the path or the name.

    What the tool requires it does not produce: `GET /person/{person_id}` repeats the id it was given.
    """
    required = set(required_entities(tool))
    found = [*_about(tool), *(entity for field in tool.outputs for entity in _of_output(field.path))]
    return _bounded(entity for entity in found if entity and entity not in required)


def _identified(name: str, owner: str) -> str:
    """`person_id` → `person`; a bare `id` is its owner's; '' for a name that is no identifier."""
    words = lexemes(name)
    if not words or words[-1] not in _IDENTIFIERS:
        return ""
    return "_".join(words[:-1] or lexemes(owner))


def _of_output(path: Sequence[str]) -> Iterator[str]:
    """`tracks.items.*.album.id` → `track`, `album`; `owner_id` → `owner`."""
    for key in path[:-1]:
        words = lexemes(key)
        if key != "*" and not _WRAPPERS.issuperset(words):
            yield "_".join(words)
    if path:
        yield _identified(path[-1], "")


def _about(tool: Tool) -> list[str]:
    """What a call without a body answers about: the last words of its path, `GET /movie/top_rated` → `movi`,
    `top_rate`; of a tool without a path those of its name. Nothing for a tool that writes."""
    if not isinstance(tool.binding, HttpBinding):
        return lexemes(tool.name)
    if tool.binding.method not in _READS:
        return []
    return ["_".join(lexemes(segment)) for segment in _segments(tool)[-2:] if not _PLACEHOLDER.search(segment)]


def _owner_of_input(tool: Tool, name: str) -> str:
    """The path segment before its placeholder: `/person/{id}` → `person`; else the path's last word."""
    segments = _segments(tool)
    at = next((at for at, segment in enumerate(segments) if segment == f"{{{name}}}"), len(segments))
    return next((segment for segment in reversed(segments[:at]) if not _PLACEHOLDER.search(segment)), "")


def _segments(tool: Tool) -> list[str]:
    return tool.binding.path.strip("/").split("/") if isinstance(tool.binding, HttpBinding) else []


def _bounded(entities: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entities))[:MAX_ENTITIES]
