"""A JSON text, read with guards, that knows where its values stand."""

import ast
import json
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from models.base import JsonObject, JsonValue
from models.plans import Loc
from planvault.plan.json_positions import JsonPath, Lines, character_offsets, value_offsets
from planvault.plan.limits import (
    INT_MAX,
    INT_MIN,
    MAX_JSON_BYTES,
    MAX_NUMBER_LENGTH,
    MAX_REPLY_BYTES,
    within_text_limits,
)
from planvault.plan.problems import Problems, shown
from planvault.plan.source import find_json, node_position

_MAX_BRACKETS = 16  # the wire format needs five


@dataclass(frozen=True, slots=True)
class Document:
    """`text` starts at `offset` of the planner's answer."""

    root: JsonObject
    text: str
    offset: int
    lines: Lines
    offsets: dict[JsonPath, int] = field(default_factory=dict)

    def at(self, path: JsonPath) -> Loc:
        """Where a value stands; of an absent one, where its nearest parent stands."""
        while path and path not in self.offsets:
            path = path[:-1]
        return self.lines.at(self.offset + self.offsets.get(path, 0))

    def expression(self, content: str, path: JsonPath) -> "JsonExpression":
        start = self.offsets.get(path)
        characters = [] if start is None else character_offsets(self.text, start)
        lead = len(content) - len(content.lstrip())
        lines = tuple(content.strip().split("\n"))
        return JsonExpression(lines, self, path, tuple(characters[lead:]))


@dataclass(frozen=True)
class JsonExpression:
    """An expression inside a JSON string; `characters` are the offsets of its characters in the document."""

    lines: tuple[str, ...]
    document: Document
    path: JsonPath
    characters: tuple[int, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def locate(self, node: ast.AST) -> Loc:
        line, column = node_position(node, self.lines)
        return self.at(line, column)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line begins, in characters; the last entry lies behind the end."""
        return list(accumulate((len(content) + 1 for content in self.lines), initial=0))

    def at(self, line: int, column: int) -> Loc:
        index = self._starts[min(max(line - 1, 0), len(self.lines))] + column - 1
        if not 0 <= index < len(self.characters):
            return self.document.at(self.path)
        return self.document.lines.at(self.document.offset + self.characters[index])


def read_document(answer: str, problems: Problems) -> Document | None:
    """The JSON object in a planner's answer, or None with what is wrong."""
    if not within_text_limits(answer, MAX_REPLY_BYTES, problems):
        return None
    text, offset = find_json(answer)
    lines = Lines(answer)
    if not within_text_limits(text, MAX_JSON_BYTES, problems):
        return None
    if _too_deep(text):
        problems.add("TOO_COMPLEX", f"The JSON is nested more than {_MAX_BRACKETS} deep.", lines.at(offset))
        return None
    repeated: list[str] = []
    try:
        root = _load(text, repeated)
    except json.JSONDecodeError as error:
        hint = "Write one JSON object and nothing else."
        problems.add("SYNTAX", f"Not valid JSON: {error.msg}.", lines.at(offset + error.pos), hint)
        return None
    except ValueError as error:
        problems.add("SYNTAX", f"Not valid JSON: {error}.", lines.at(offset))
        return None
    if not isinstance(root, dict):
        problems.add("WRONG_SHAPE", "A plan is a JSON object.", lines.at(offset), "Its fields are slots, nodes, body.")
        return None
    for key in repeated:
        problems.add("DUPLICATE_KEY", f"The key {shown(key)} stands twice in one object.", lines.at(offset))
    return Document(root, text, offset, lines, value_offsets(text))


def _load(text: str, repeated: list[str]) -> JsonValue:
    def unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
        found: JsonObject = {}
        for key, value in pairs:
            if key in found:
                repeated.append(key)
            found[key] = value
        return found

    value: JsonValue = json.loads(
        text, object_pairs_hook=unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
    )
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH or not INT_MIN <= int(digits) <= INT_MAX:
        raise ValueError("an integer does not fit in 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large for a float")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _too_deep(text: str) -> bool:
    """Brackets outside strings, counted without recursion."""
    depth, quoted, escaped = 0, False, False
    for char in text:
        if quoted:
            quoted, escaped = escaped or char != '"', not escaped and char == "\\"
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            if depth > _MAX_BRACKETS:
                return True
        elif char in "]}":
            depth -= 1
    return False
