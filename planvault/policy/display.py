"""Parameters of a call as people may see them: secrets masked, cut to a size that a form can show. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

from models.base import JsonObject, JsonValue
from models.values import SecretText, Value

MAX_TEXT = 500  # characters of one text
MAX_ENTRIES = 20  # of one list or object
MAX_DEPTH = 5
MAX_VALUES = 200  # in all
MASK = "•••"

# Names under which secrets travel, whoever filled them in.
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|authori[sz]ation|api[_-]?key|private[_-]?key|cvv|cvc|(^|_)pin($|_)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """`is_whole` is false where something was cut; the approval binds what was cut as well."""

    params: JsonObject
    is_whole: bool


def shown(args: Mapping[str, Value], only: Collection[str] | None = None) -> Shown:
    """The parameters `only` (None: all), in their order."""
    painter = _Painter()
    chosen = {name: value for name, value in args.items() if only is None or name in only}
    params = cast("JsonObject", painter.value(cast("Value", chosen), 0))
    return Shown(params, painter.is_whole)


class _Painter:
    def __init__(self) -> None:
        self.is_whole = True
        self._left = MAX_VALUES

    def value(self, value: Value, depth: int) -> JsonValue:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            return self._cut("…")
        if isinstance(value, SecretText):
            return self._text(str(value))
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            entries: list[JsonValue] = [self.value(item, depth + 1) for item in value[:MAX_ENTRIES]]
            return entries if len(value) <= MAX_ENTRIES else [*entries, self._cut(f"… {len(value)} in all")]
        if isinstance(value, dict):
            return self._object(value, depth)
        return value

    def _object(self, value: Mapping[str, Value], depth: int) -> JsonObject:
        painted: JsonObject = {}
        for name, item in list(value.items())[:MAX_ENTRIES]:
            is_secret = _SECRET_NAME.search(name) is not None and not isinstance(item, SecretText)
            painted[self._text(name)] = MASK if is_secret else self.value(item, depth + 1)
        if len(value) > MAX_ENTRIES:
            painted["…"] = self._cut(f"{len(value)} in all")
        return painted

    def _text(self, text: str) -> str:
        return text if len(text) <= MAX_TEXT else self._cut(f"{text[:MAX_TEXT]}… ({len(text)} characters)")

    def _cut(self, text: str) -> str:
        self.is_whole = False
        return text
