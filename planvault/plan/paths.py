"""Look-ups inside values: by key, by index, by a path of both."""

import re

from models.values import SecretText, Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.problems import nearest, shown
from planvault.plan.values import secret_refused, type_name

Step = str | int
_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(-?\d{1,9})\]")


class Missing(EvaluationFailed):
    """There is no such field. Kept apart so that defaults can stand in for it, and only for it."""


def field(base: Value, key: str) -> Value:
    """`base.key`."""
    if isinstance(base, dict):
        if key in base:
            return base[key]
        close = nearest(key, [name for name in list(base)[:500] if len(name) <= 60])
        hint = (
            f"Did you mean {close!r}?" if close else f"Use get_field(object, {shown(key)}, null) if it may be absent."
        )
        raise Missing("MISSING_FIELD", f"The object has no field {shown(key)}. {hint}")
    if isinstance(base, SecretText):
        raise secret_refused("read a field")
    advice = " Index the list first, for example [0]." if isinstance(base, list) else ""
    raise Missing("TYPE_MISMATCH", f"{type_name(base)} has no field {shown(key)}: only objects have fields.{advice}")


def item(base: Value, index: Value) -> Value:
    """`base[index]`: a list's position (negative counts from the end) or an object's key."""
    if isinstance(index, str):
        return field(base, index)
    if isinstance(base, SecretText) or isinstance(index, SecretText):
        raise secret_refused("look something up")
    if isinstance(base, list) and isinstance(index, int) and not isinstance(index, bool):
        if -len(base) <= index < len(base):
            return base[index]
        raise Missing("INDEX_OUT_OF_RANGE", f"The list has {len(base)} items, there is no position {index}.")
    raise Missing("TYPE_MISMATCH", f"{type_name(base)} cannot be indexed with {type_name(index)}.")


def steps_of(path: Value, budget: Budget) -> list[Step]:
    """A path as keys and positions: `"items[0].name"`, or a list of them for keys with dots in."""
    if isinstance(path, list):
        budget.step(len(path))
        steps = [part for part in path if isinstance(part, (str, int)) and not isinstance(part, bool)]
        if len(steps) != len(path) or not steps:
            raise EvaluationFailed("BAD_PATH", "A path as a list holds field names and positions, at least one.")
        return steps
    if not isinstance(path, str):
        raise EvaluationFailed("BAD_PATH", f"A path is a string such as 'items[0].name', not {type_name(path)}.")
    budget.step(len(path))
    steps, end = [], 0
    while end < len(path):
        match = _STEP.match(path, end)
        if match is None or match.end() == end:
            break
        steps.append(match[1] if match[1] is not None else int(match[2]))
        end = match.end()
    if not steps or end != len(path):
        raise EvaluationFailed("BAD_PATH", f"{shown(path)} is no path: write it as 'items[0].name'.")
    return steps


def walk(base: Value, steps: list[Step], budget: Budget) -> Value:
    for step in steps:
        budget.step()
        base = item(base, step)
    return base


def walk_or(base: Value, steps: list[Step], otherwise: Value, budget: Budget) -> Value:
    """Like `walk`, with `otherwise` where a step leads nowhere."""
    try:
        return walk(base, steps, budget)
    except Missing:
        return otherwise
