"""How large some JSON is, counted without recursion and with an end: what is too large or too deep has no measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
_SCALAR_BYTES = 8


class Unmeasurable(ValueError):
    """Too large, too deep, or no JSON; the text says which."""


class Measure(NamedTuple):
    """Of one value: bytes, entries of its longest list or object, and bytes of the largest entry of any."""

    size: int
    longest: int
    largest_item: int


def measured(value: object, max_bytes: int = MAX_BYTES) -> Measure:
    """Raises Unmeasurable."""
    size, longest = 0, 0
    order: list[tuple[object, int, int]] = []  # value, its parent's position, own bytes
    waiting: list[tuple[object, int, int]] = [(value, -1, 1)]
    while waiting:
        item, parent, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Unmeasurable(f"the parameters nest deeper than {MAX_DEPTH} levels")
        own = _own_bytes(item)
        size += own
        if size > max_bytes:
            raise Unmeasurable(f"the parameters are larger than {max_bytes} bytes")
        position = len(order)
        order.append((item, parent, own))
        if isinstance(item, Mapping):
            longest = max(longest, len(item))
            waiting.extend((inner, position, depth + 1) for inner in item.values())
        elif isinstance(item, list):
            longest = max(longest, len(item))
            waiting.extend((inner, position, depth + 1) for inner in item)
    return Measure(size, longest, _largest_item(order))


def _largest_item(order: list[tuple[object, int, int]]) -> int:
    """Children come after their parents, so one pass from behind sums every subtree up.

    The two outermost levels are the context and its names: what a rule can loop over lies below them.
    """
    totals = [own for _, _, own in order]
    for position in range(len(order) - 1, 0, -1):
        totals[order[position][1]] += totals[position]
    outer = {position for position, (_, parent, _) in enumerate(order) if parent <= 0}
    return max((totals[position] for position, (_, parent, _) in enumerate(order) if parent not in outer), default=0)


def _own_bytes(item: object) -> int:
    if isinstance(item, str):
        return _SCALAR_BYTES + _text_bytes(item)
    if isinstance(item, Mapping):
        return _SCALAR_BYTES + sum(_SCALAR_BYTES + _text_bytes(key) for key in item)
    if item is None or isinstance(item, bool | int | float | list):
        return _SCALAR_BYTES
    raise Unmeasurable("the parameters hold a value that is not here as JSON")


def _text_bytes(text: object) -> int:
    if not isinstance(text, str):
        raise Unmeasurable("the parameters hold a name that is no text")
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise Unmeasurable("the parameters hold text that is not Unicode") from None
