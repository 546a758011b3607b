"""The append's statement, made of the parts that a batch has rows for.

A part without rows still costs the begin and end of its plan, the row-level security of its table and the table's
triggers: six tables have parts, and most appends write to one. The whole statement stays what is read and planned by
tests (sql/events.sql).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from planvault.storage.queries import load

_WHOLE = load("planvault.storage", "sql/events.sql")["append"]
_PART = re.compile(r"^(?P<name>\w+) AS \(.*?^\)(?:,\n|\n)", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+)")
_END = "\nSELECT shard FROM mine"

PARTS = frozenset(match["name"] for match in _PART.finditer(_WHOLE))


class Statement(NamedTuple):
    """`takes`: which of the whole statement's parameters this one has, in its order, counted from 0."""

    sql: str
    takes: tuple[int, ...]

    def of(self, arguments: Sequence[Any]) -> list[Any]:
        """This statement's arguments out of those of the whole one."""
        return [arguments[place] for place in self.takes]


@cache
def statement(parts: frozenset[str]) -> Statement:
    """The append with these of PARTS; it answers as the whole one does with nothing in the others."""
    if not parts <= PARTS:
        raise ValueError(f"The append has no parts {sorted(parts - PARTS)}")
    kept = _PART.sub(lambda match: match[0] if match["name"] in parts else "", _WHOLE)
    body, _, rest = kept.rpartition(_END)
    takes = sorted({int(number) for number in _PARAMETER.findall(body)})
    places = {number: place for place, number in enumerate(takes, 1)}
    sql = _PARAMETER.sub(lambda match: f"${places[int(match[1])]}", f"{body.rstrip().rstrip(',')}{_END}{rest}")
    return Statement(sql, tuple(number - 1 for number in takes))
