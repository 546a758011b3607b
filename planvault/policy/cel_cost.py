"""What a condition in CEL may cost: told from its source and the data, before anything runs. Pure.

Measured (ADR 0008): `map` doubles a value with every use, `filter` copies its result with every entry, a turn of a
macro may search or compare everything there is, a pattern with large counts takes milliseconds to compile. The first is
refused, as are patterns that are no literals; the others are estimated from above. Words are looked for in the whole
source, texts and comments included: that errs on the safe side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import re2

from planvault.policy.measure import Measure

MAX_WORK = 4 * 1024 * 1024
"""Bytes that one evaluation may touch, estimated from above; about 100 ms where the estimate is met."""
MAX_WORK_OF_A_CALL = 2 * MAX_WORK
"""The same for all conditions that one call meets."""
MAX_TURNS = 10_000  # of all macros together: the implementation's own bound

_LOOPS = re.compile(r"\b(?:all|exists|exists_one|filter)\b")
_FILTERS = re.compile(r"\bfilter\b")
_MAP = re.compile(r"\bmap\s*(?://[^\n]*\n\s*)*\(")
_ROOTS = re.compile(r"\b(?:args|session)\b")
_LOOPS_OVER_ROOTS = re.compile(r"\b(?:args|session)[\w.]*\.(?:all|exists|exists_one|filter)\(")
_MATCHES = re.compile(r"\bmatches\b")
_PATTERNS = re.compile(r"""\.matches\(\s*(?:[rR]'([^'\n]*)'|[rR]"([^"\n]*)"|'([^'\\\n]*)'|"([^"\\\n]*)")\s*\)""")
_REPEATS = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_TIME_ZONE = re.compile(r"\.get[A-Z]\w*\s*\(\s*[^)\s]")
_MOST_REPEATS = 100
_LONGEST_PATTERN = 200
_PATTERN_WORK, _REPEATING_PATTERN_WORK = 16 * 1024, 64 * 1024
_ENTRY_BYTES = 8


class CannotBeBounded(ValueError):
    """The text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What is known of a condition before it meets data."""

    length: int  # characters: a list that it spells out is shorter
    loops: int  # macros, wherever they stand: at most that deep they nest
    touches_all: bool  # whether a macro's body can reach more than the element it looks at
    filters: int  # of the macros: each copies what it has found with every entry that it adds
    operations: int
    growth: int  # how much longer than the data a value can become
    pattern_work: int

    def work(self, data: Measure) -> int:
        """Bytes that an evaluation touches at the very most."""
        turns, touched, copied = 1, data.size, 0
        if self.loops:
            longest = max(data.longest, self.length // 2, 1)
            turns = min(MAX_TURNS, longest**self.loops)
            touched = data.size if self.touches_all else data.largest_item
            copied = self.filters * longest * _ENTRY_BYTES
        return turns * (self.operations * self.growth * max(touched, 64) + self.pattern_work + copied)


def cost_of(source: str) -> Cost:
    """Raises CannotBeBounded."""
    patterns = _bounded_patterns(source)
    only_elements = len(_ROOTS.findall(source)) == len(_LOOPS_OVER_ROOTS.findall(source))
    return Cost(
        length=len(source),
        loops=len(_LOOPS.findall(source)),
        touches_all=not only_elements or "[" in source or "{" in source,
        filters=len(_FILTERS.findall(source)),
        operations=1 + len(source) // 12,
        growth=1 + min(31, source.count("+")),
        pattern_work=sum(_REPEATING_PATTERN_WORK if "{" in each else _PATTERN_WORK for each in patterns),
    )


def _bounded_patterns(source: str) -> list[str]:
    """The literals of matches(). What a condition does not need, and whose cost cannot be told, is refused."""
    if _MAP.search(source):
        raise CannotBeBounded("map() is not available: use exists(), all() or filter()")
    if _TIME_ZONE.search(source):
        raise CannotBeBounded("times are UTC: call getHours() and the like without a time zone")
    patterns = ["".join(groups) for groups in _PATTERNS.findall(source)]
    if len(patterns) != len(_MATCHES.findall(source)):
        raise CannotBeBounded("matches() takes its pattern as one literal: args.email.matches(r'.+@example[.]com')")
    for pattern in patterns:
        _check_pattern(pattern)
    return patterns


def _check_pattern(pattern: str) -> None:
    repeats = 1
    for low, high in _REPEATS.findall(pattern):
        repeats *= max(int(low[:6]), int(high[:6] or 0), 1)
    if len(pattern) > _LONGEST_PATTERN or repeats > _MOST_REPEATS:
        raise CannotBeBounded(
            f"a pattern has at most {_LONGEST_PATTERN} characters, and {_MOST_REPEATS} repeats by counts like {{3}}"
        )
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as fault:
        why = fault.args[0].decode() if isinstance(fault.args[0], bytes) else str(fault)
        raise CannotBeBounded(f"{pattern!r} is no RE2 pattern: {why}") from None
