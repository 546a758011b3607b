"""How large some JSON is, counted without recursion and with an end.

What is too large or too deep has no measure, and neither has what a condition would see otherwise than the service:
CEL's binding ends every text at its first NUL (`{"to": "a@ours.com\\0,b@theirs.com"}` ends with `@ours.com` there).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from planvault.plan.limits import INT_MAX, INT_MIN

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
_SCALAR_BYTES = 8


class Unmeasurable(ValueError):
    """Too large, too deep, or not to be judged; the text says which."""


class Measure(NamedTuple):
    """Of one value: bytes, entries of its longest list or object, and bytes of the largest entry of any list.

    An object is looped over by its names: they count as entries too.
    """

    size: int
    longest: int
    largest_item: int


class _Node(NamedTuple):
    parent: int  # position in the order of visits; -1: none
    own: int
    is_entry: bool  # of a list
    longest_name: int


def measured(value: object, max_bytes: int = MAX_BYTES) -> Measure:
    """Raises Unmeasurable."""
    size, longest = 0, 0
    nodes: list[_Node] = []
    waiting: list[tuple[object, int, bool, int]] = [(value, -1, False, 1)]
    while waiting:
        item, parent, is_entry, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Unmeasurable(f"the parameters nest deeper than {MAX_DEPTH} levels")
        own, longest_name = _own_bytes(item)
        size += own
        if size > max_bytes:
            raise Unmeasurable(f"the parameters are larger than {max_bytes} bytes")
        position = len(nodes)
        nodes.append(_Node(parent, own, is_entry, longest_name))
        if isinstance(item, Mapping):
            longest = max(longest, len(item))
            waiting.extend((inner, position, False, depth + 1) for inner in item.values())
        elif isinstance(item, list):
            longest = max(longest, len(item))
            waiting.extend((inner, position, True, depth + 1) for inner in item)
    return Measure(size, longest, _largest_item(nodes))


def _largest_item(nodes: list[_Node]) -> int:
    """Children come after their parents, so one pass from behind sums every subtree up."""
    totals = [node.own for node in nodes]
    for position in range(len(nodes) - 1, 0, -1):
        totals[nodes[position].parent] += totals[position]
    entries = (total for total, node in zip(totals, nodes, strict=True) if node.is_entry)
    return max(max(entries, default=0), max(node.longest_name for node in nodes))


def _own_bytes(item: object) -> tuple[int, int]:
    """Bytes without those of its entries, and of its longest name."""
    if isinstance(item, str):
        return _SCALAR_BYTES + _text_bytes(item), 0
    if isinstance(item, Mapping):
        names = [_text_bytes(name) for name in item]
        return _SCALAR_BYTES * (1 + len(names)) + sum(names), max(names, default=0)
    if isinstance(item, int) and not INT_MIN <= item <= INT_MAX:
        raise Unmeasurable("the parameters hold a whole number of more than 64 bits")
    if item is None or isinstance(item, int | list) or (isinstance(item, float) and math.isfinite(item)):
        return _SCALAR_BYTES, 0
    raise Unmeasurable("the parameters hold a value that is not here as JSON")


def _text_bytes(text: object) -> int:
    if not isinstance(text, str):
        raise Unmeasurable("the parameters hold a name that is no text")
    if "\x00" in text:
        raise Unmeasurable("the parameters hold text with a NUL character")
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise Unmeasurable("the parameters hold text that is not Unicode") from None
