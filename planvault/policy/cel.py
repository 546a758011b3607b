"""Conditions in CEL, the Common Expression Language, over one call: compiled, bounded, evaluated. Pure.

https://cel.dev; the implementation is Google's (ADR 0008). It has no I/O, no loops of its own, stops after 10,000
turns of its macros and 32 levels of nesting, and checks names and types when a condition is compiled. What it does not
bound is how much one turn may touch: that is judged here before anything runs, from the source and the data.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from cel_expr_python import cel

from planvault.policy.call_facts import CallFacts
from planvault.policy.measure import Measure, measured

MAX_SOURCE = 1_000
"""Characters of one condition."""
MAX_WORK = 4 * 1024 * 1024
"""Bytes that one evaluation may touch, estimated from above; about 100 ms where the estimate is met."""
MAX_WORK_OF_A_CALL = 2 * MAX_WORK
"""The same for all conditions that one call meets."""
MAX_TURNS = 10_000  # of all macros together: the implementation's own bound

_NAMES: Mapping[str, cel.Type] = MappingProxyType(
    {
        "args": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "tool.name": cel.Type.STRING,
        "tool.version": cel.Type.INT,
        "tool.integration": cel.Type.STRING,
        "tool.risk": cel.Type.STRING,
        "tool.idempotency": cel.Type.STRING,
        "run.toolCalls": cel.Type.INT,
        "run.nodeId": cel.Type.STRING,
        "run.requestedBy": cel.Type.STRING,
        "session.tags": cel.Type.List(cel.Type.STRING),
    }
)
_ENVIRONMENT = cel.NewEnv(variables=dict(_NAMES))

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
_POSITION = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_STATUS = re.compile(r" \[[A-Z_]+\]$")
_LONGEST_FAULT = 300
_UNUSABLE = (RuntimeError, ValueError, TypeError, OverflowError)  # what the binding raises for data that it cannot use


class ConditionRejected(ValueError):
    """A condition that cannot be used; the text says where, why and what to write instead."""


class ConditionFailed(Exception):
    """A condition that has no answer for this call; the text says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition and what is known of its cost."""

    source: str
    program: cel.Expression
    loops: int  # macros, wherever they stand: at most that deep they nest
    touches_all: bool  # whether a macro's body can reach more than the element it looks at
    filters: int  # of those: each copies what it has found with every entry that it adds
    operations: int
    growth: int  # how much longer than the data a value can become
    pattern_work: int

    def work(self, data: Measure) -> int:
        """Bytes that an evaluation touches at the very most."""
        turns, touched, copied = 1, data.size, 0
        if self.loops:
            longest = max(data.longest, len(self.source) // 2, 1)
            turns = min(MAX_TURNS, longest**self.loops)
            touched = data.size if self.touches_all else data.largest_item
            copied = self.filters * longest * _ENTRY_BYTES
        return turns * (self.operations * self.growth * max(touched, 64) + self.pattern_work + copied)


@lru_cache(maxsize=2_048)
def compiled(source: str) -> Condition:
    """The condition, or ConditionRejected."""
    if len(source) > MAX_SOURCE:
        raise ConditionRejected(f"a condition has at most {MAX_SOURCE} characters, this one has {len(source)}")
    if not source.isprintable() and not source.replace("\n", "").replace("\t", "").isprintable():
        raise ConditionRejected("a condition is printable text")
    _check_words(source)
    try:
        program = _ENVIRONMENT.compile(source)
    except (RuntimeError, ValueError) as fault:
        raise ConditionRejected(_explained(str(fault))) from None
    returned = program.return_type()
    if returned not in (cel.Type.BOOL, cel.Type.DYN):
        raise ConditionRejected(f"a condition is true or false, this one is {returned.name()}; compare it: `… == …`")
    patterns = ["".join(groups) for groups in _PATTERNS.findall(source)]
    loops = len(_LOOPS.findall(source))
    only_elements = len(_ROOTS.findall(source)) == len(_LOOPS_OVER_ROOTS.findall(source))
    return Condition(
        source=source,
        program=program,
        loops=loops,
        touches_all=not only_elements or "[" in source or "{" in source,
        filters=len(_FILTERS.findall(source)),
        operations=1 + len(source) // 12,
        growth=1 + min(31, source.count("+")),
        pattern_work=sum(_REPEATING_PATTERN_WORK if "{" in each else _PATTERN_WORK for each in patterns),
    )


class Examination:
    """One call under any number of conditions: its parameters are converted once, and the work has one bound."""

    def __init__(self, facts: CallFacts) -> None:
        self._left = MAX_WORK_OF_A_CALL
        self._fault: str | None = None
        data = _data(facts)
        try:
            self._size = measured(data)
            self._activation = _ENVIRONMENT.Activation(data)
        except _UNUSABLE as fault:
            self._fault = _short(str(fault))

    def holds(self, source: str) -> bool:
        """Whether the condition is true of the call.

        Raises ConditionFailed where it has no answer: a parameter that is not there, another type than expected, too
        much work. The caller decides on the safe side.
        """
        if self._fault is not None:
            raise ConditionFailed(self._fault)
        try:
            condition = compiled(source)
        except ConditionRejected as fault:
            raise ConditionFailed(str(fault)) from None
        self._pay(condition)
        try:
            value = condition.program.eval(self._activation)
        except _UNUSABLE as fault:
            raise ConditionFailed(_short(str(fault))) from None
        if value.type() == cel.Type.BOOL:
            return bool(value.value())
        if value.type() == cel.Type.ERROR:
            raise ConditionFailed(_short(str(value.value())))
        raise ConditionFailed(f"a condition is true or false, this one is {value.type().name()} here")

    def _pay(self, condition: Condition) -> None:
        work = condition.work(self._size)
        if work > min(MAX_WORK, self._left):
            size, longest, _ = self._size
            raise ConditionFailed(f"the parameters are too large to judge ({size} bytes, lists of up to {longest})")
        self._left -= work


def holds(source: str, facts: CallFacts) -> bool:
    """One condition of one call. Raises ConditionFailed."""
    return Examination(facts).holds(source)


def _data(facts: CallFacts) -> dict[str, object]:
    return {
        "args": facts.args,
        "tool.name": facts.tool,
        "tool.version": facts.version,
        "tool.integration": facts.integration,
        "tool.risk": facts.risk,
        "tool.idempotency": facts.idempotency,
        "run.toolCalls": facts.tool_calls,
        "run.nodeId": facts.node_id,
        "run.requestedBy": facts.requested_by,
        "session.tags": list(facts.tags),
    }


def _check_words(source: str) -> None:
    """What the implementation offers and a condition does not need, because its cost cannot be told beforehand."""
    if _MAP.search(source):
        raise ConditionRejected("map() is not available: use exists(), all() or filter()")
    if _TIME_ZONE.search(source):
        raise ConditionRejected("times are UTC: call getHours() and the like without a time zone")
    patterns = ["".join(groups) for groups in _PATTERNS.findall(source)]
    if len(patterns) != len(_MATCHES.findall(source)):
        raise ConditionRejected("matches() takes its pattern as one literal: args.email.matches(r'.+@example[.]com')")
    for pattern in patterns:
        _check_pattern(pattern)


def _check_pattern(pattern: str) -> None:
    repeats = 1
    for low, high in _REPEATS.findall(pattern):
        repeats *= max(int(low[:6]), int(high[:6] or 0), 1)
    if len(pattern) > _LONGEST_PATTERN or repeats > _MOST_REPEATS:
        raise ConditionRejected(
            f"a pattern has at most {_LONGEST_PATTERN} characters, and {_MOST_REPEATS} repeats by counts like {{3}}"
        )


def _explained(text: str) -> str:
    """The compiler's first finding, with its place and the name that was probably meant."""
    found = _POSITION.search(text)
    if found is None:
        return _short(text.removeprefix("CANCELLED: ").removeprefix("INVALID_ARGUMENT: "))
    line, column, message = found.groups()
    place = f"line {line}, column {column}: " if int(line) > 0 else ""
    unknown = _UNDECLARED.search(message)
    if unknown is None:
        return _short(place + message)
    name = unknown[1]
    fields = [known for known in _NAMES if known.startswith(f"{name}.")]
    roots = sorted({known.split(".")[0] for known in _NAMES})
    close = fields or difflib.get_close_matches(name, _NAMES, n=1)
    close = close or difflib.get_close_matches(name.split(".")[0], roots, n=1)
    hint = f"did you mean {close[0]}?" if len(close) == 1 else f"there are {', '.join(close or _NAMES)}"
    return _short(f"{place}{name} is not known; {hint}")


def _short(text: str) -> str:
    text = _STATUS.sub("", " ".join(text.split()))
    return text if len(text) <= _LONGEST_FAULT else text[:_LONGEST_FAULT] + "…"
