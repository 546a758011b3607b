"""Conditions in CEL, the Common Expression Language, over one call: compiled, bounded, evaluated. Pure.

https://cel.dev; the implementation is Google's (ADR 0008). It has no I/O, no loops of its own, stops after 10,000
turns of its macros and 32 levels of nesting, and checks names and types when a condition is compiled. What it does not
bound is how much one turn may touch: `planvault.policy.cel_cost` judges that before anything runs.
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
from planvault.policy.cel_cost import MAX_WORK, MAX_WORK_OF_A_CALL, CannotBeBounded, Cost, cost_of
from planvault.policy.measure import Unmeasurable, measured

MAX_SOURCE = 1_000
"""Characters of one condition."""
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
        "run.requestedSignedIn": cel.Type.BOOL,
        "session.tags": cel.Type.List(cel.Type.STRING),
    }
)
_ENVIRONMENT = cel.NewEnv(variables=dict(_NAMES))

_POSITION = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_STATUS = re.compile(r" \[[A-Z_]+\]$")
_VALUE = re.compile(r"(?<= found in map : ).*$|(?<= index=)-?\d+")  # where a fault repeats what it met
_LONGEST_FAULT = 300
_UNUSABLE = (RuntimeError, ValueError, TypeError, OverflowError)  # what the binding raises for data that it cannot use


class ConditionRejected(ValueError):
    """A condition that cannot be used; the text says where, why and what to write instead."""


class ConditionFailed(Exception):
    """A condition that has no answer for this call; the text says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    program: cel.Expression
    cost: Cost


@lru_cache(maxsize=2_048)
def compiled(source: str) -> Condition:
    """The condition, or ConditionRejected."""
    if len(source) > MAX_SOURCE:
        raise ConditionRejected(f"a condition has at most {MAX_SOURCE} characters, this one has {len(source)}")
    if not source.isprintable() and not source.replace("\n", "").replace("\t", "").isprintable():
        raise ConditionRejected("a condition is printable text")
    try:
        cost = cost_of(source)
        program = _ENVIRONMENT.compile(source)
    except CannotBeBounded as fault:
        raise ConditionRejected(str(fault)) from None
    except (RuntimeError, ValueError) as fault:
        raise ConditionRejected(_explained(str(fault))) from None
    returned = program.return_type()
    if returned not in (cel.Type.BOOL, cel.Type.DYN):
        raise ConditionRejected(f"a condition is true or false, this one is {returned.name()}; compare it: `… == …`")
    return Condition(program, cost)


class Examination:
    """One call under any number of conditions: its parameters are converted once, and the work has one bound."""

    def __init__(self, facts: CallFacts) -> None:
        self._left = MAX_WORK_OF_A_CALL
        self._fault: str | None = None
        data = _data(facts)
        try:
            self._size = measured(data)
            self._activation = _ENVIRONMENT.Activation(data)
        except Unmeasurable as fault:
            self._fault = str(fault)
        except _UNUSABLE:  # its text would hold the value
            self._fault = "the parameters hold a value that cannot be judged"

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
            raise ConditionFailed(_without_values(str(fault), source)) from None
        if value.type() == cel.Type.BOOL:
            return bool(value.value())
        if value.type() == cel.Type.ERROR:
            raise ConditionFailed(_without_values(str(value.value()), source))
        raise ConditionFailed(f"a condition is true or false, this one is {value.type().name()} here")

    def _pay(self, condition: Condition) -> None:
        work = condition.cost.work(self._size)
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
        "run.requestedSignedIn": facts.requested_signed_in,
        "session.tags": list(facts.tags),
    }


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


def _without_values(text: str, source: str) -> str:
    """A fault that was met with data, less what stands in the data alone: the record tells it to everybody."""
    return _VALUE.sub(lambda met: met[0] if met[0].strip("\"'") in source else "…", _short(text))


def _short(text: str) -> str:
    text = _STATUS.sub("", " ".join(text.split()))
    return text if len(text) <= _LONGEST_FAULT else text[:_LONGEST_FAULT] + "…"
