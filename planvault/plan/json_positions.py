"""Where the values of a JSON text stand in it. Python's parser does not tell; repair needs to know."""

import re
from bisect import bisect_right

from models.plans import Loc

JsonPath = tuple[str | int, ...]
"""Object keys and list positions from the root."""

_SIGN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+', re.DOTALL)
_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL)


def value_offsets(text: str) -> dict[JsonPath, int]:
    """The offset of every value of a valid JSON text, by its path. Iterative."""
    offsets: dict[JsonPath, int] = {}
    path: list[str | int] = []  # one entry for each open container: the key or position that comes next
    keyed: list[bool] = []  # whether that container is an object that waits for a key
    for match in _SIGN.finditer(text):
        sign = match[0]
        if sign == ",":
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
            else:
                keyed[-1] = True
        elif sign in "]}":
            path.pop()
            keyed.pop()
        elif sign != ":":
            if keyed and keyed[-1]:
                path[-1], keyed[-1] = _decoded(sign), False
                continue
            offsets[tuple(path)] = match.start()
            if sign in "[{":
                path.append(0 if sign == "[" else "")
                keyed.append(sign == "{")
    return offsets


def character_offsets(text: str, start: int) -> list[int]:
    """For a string literal whose quote stands at `start`: the offset of each of its decoded characters, and its end."""
    match = _SIGN.match(text, start)
    end = match.end() - 1 if match else start
    offsets = [piece.start() for piece in _ESCAPE.finditer(text, start + 1, end)]
    return [*offsets, end]


class Lines:
    """Offset → line and column, 1-based."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> Loc:
        line = bisect_right(self._starts, offset)
        return Loc(line, offset - self._starts[line - 1] + 1)


def _decoded(sign: str) -> str:
    """Keys of plans are plain; an escaped key only loses its position."""
    return sign[1:-1]
