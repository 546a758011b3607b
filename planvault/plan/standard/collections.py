"""Standard functions on lists and objects, and on values of any type.

Those that only hand values on (`passes` in the function list) may meet secrets; the others never do.
"""

import functools

from models.values import Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.paths import Step, item, steps_of, walk, walk_or
from planvault.plan.values import equal, less, secret_refused, truthy, type_name


def list_arg(value: Value, function: str) -> list[Value]:
    if isinstance(value, list):
        return value
    raise EvaluationFailed("TYPE_MISMATCH", f"{function}() needs a list, not {type_name(value)}.")


def object_arg(value: Value, function: str) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise EvaluationFailed("TYPE_MISMATCH", f"{function}() needs an object, not {type_name(value)}.")


def _made(items: list[Value], budget: Budget) -> list[Value]:
    budget.create_values(items)
    return items


def get_field(args: list[Value], budget: Budget) -> Value:
    steps = steps_of(args[1], budget)
    return walk(args[0], steps, budget) if len(args) == 2 else walk_or(args[0], steps, args[2], budget)


def set_field(args: list[Value], budget: Budget) -> Value:
    """Copies what lies along the path; missing objects are made, list positions must exist."""
    changed = _with(args[0], steps_of(args[1], budget)[:100], args[2], budget)
    budget.create_values([changed])
    return changed


def _with(base: Value, steps: list[Step], value: Value, budget: Budget) -> Value:
    trail: list[Value] = [base]
    for step in steps[:-1]:
        here = trail[-1]
        absent = isinstance(here, dict) and isinstance(step, str) and here.get(step) is None
        trail.append({} if absent else item(here, step))
    for step, here in zip(reversed(steps), reversed(trail), strict=True):
        if isinstance(here, dict) and isinstance(step, str):
            budget.step(len(here) + 1)
            value = {**here, step: value}
        elif isinstance(here, list) and isinstance(step, int):
            item(here, step)
            budget.step(len(here))
            copy = list(here)
            copy[step] = value
            value = copy
        else:
            raise EvaluationFailed("TYPE_MISMATCH", f"set_field() cannot set {step!r} in {type_name(here)}.")
    return value


def merge(args: list[Value], budget: Budget) -> Value:
    merged: dict[str, Value] = {}
    for arg in args:
        part = object_arg(arg, "merge")
        budget.step(len(part))
        merged.update(part)
    budget.create_values([merged])
    return merged


def length(args: list[Value], budget: Budget) -> Value:
    value = args[0]
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise EvaluationFailed("TYPE_MISMATCH", f"len() needs text, a list or an object, not {type_name(value)}.")


def coalesce(args: list[Value], budget: Budget) -> Value:
    return next((arg for arg in args if arg is not None), None)


def keys(args: list[Value], budget: Budget) -> Value:
    return _made(list(object_arg(args[0], "keys")), budget)


def values(args: list[Value], budget: Budget) -> Value:
    return _made(list(object_arg(args[0], "values").values()), budget)


def first(args: list[Value], budget: Budget) -> Value:
    items = list_arg(args[0], "first")
    return items[0] if items else None


def last(args: list[Value], budget: Budget) -> Value:
    items = list_arg(args[0], "last")
    return items[-1] if items else None


def slice_(args: list[Value], budget: Budget) -> Value:
    bounds = [bound for bound in args[1:] if isinstance(bound, int) and not isinstance(bound, bool)]
    if len(bounds) != len(args) - 1:
        raise EvaluationFailed("TYPE_MISMATCH", "slice() needs integers for start and end.")
    part = slice(bounds[0], bounds[1] if len(bounds) == 2 else None)
    whole = args[0]
    if isinstance(whole, str):
        budget.create(4 * len(range(*part.indices(len(whole)))))
        return whole[part]
    items = list_arg(whole, "slice")
    budget.step(len(range(*part.indices(len(items)))))
    return _made(items[part], budget)


def append(args: list[Value], budget: Budget) -> Value:
    items = list_arg(args[0], "append")
    budget.step(len(items))
    return _made([*items, args[1]], budget)


def flatten(args: list[Value], budget: Budget) -> Value:
    flat: list[Value] = []
    for entry in list_arg(args[0], "flatten"):
        budget.step(len(entry) + 1 if isinstance(entry, list) else 1)
        flat.extend(entry if isinstance(entry, list) else [entry])
    return _made(flat, budget)


def reverse(args: list[Value], budget: Budget) -> Value:
    items = list_arg(args[0], "reverse")
    budget.step(len(items))
    return _made(items[::-1], budget)


def unique(args: list[Value], budget: Budget) -> Value:
    """Scalars are found by hashing, lists and objects by comparing: paid step by step, whatever that takes."""
    seen: set[tuple[bool, str | int | float | None]] = set()
    kept: list[Value] = []
    compound: list[Value] = []
    for entry in list_arg(args[0], "unique"):
        budget.step()
        if isinstance(entry, (list, dict)):
            if not any(equal(entry, other, budget) for other in compound):
                compound.append(entry)
                kept.append(entry)
        elif not _hashed(entry, seen):
            kept.append(entry)
    return _made(kept, budget)


def _hashed(entry: Value, seen: set[tuple[bool, str | int | float | None]]) -> bool:
    """Whether the scalar was seen before; remembers it. true is not 1."""
    if entry is not None and not isinstance(entry, (bool, int, float, str)):
        raise secret_refused("compare")
    key = (isinstance(entry, bool), entry)
    known = key in seen
    seen.add(key)
    return known


def sort(args: list[Value], budget: Budget) -> Value:
    items = list_arg(args[0], "sort")
    path = args[1] if len(args) > 1 else None
    descending = len(args) == 3 and _flag(args[2])
    steps = [] if path is None else steps_of(path, budget)
    budget.step(len(items) * max(1, len(items).bit_length()))
    decorated = [(walk(entry, steps, budget), entry) for entry in items]

    def compare(a: tuple[Value, Value], b: tuple[Value, Value]) -> int:
        return -1 if less(a[0], b[0]) else int(less(b[0], a[0]))

    if len(decorated) == 1:
        compare(decorated[0], decorated[0])
    decorated.sort(key=functools.cmp_to_key(compare), reverse=descending)
    return _made([entry for _, entry in decorated], budget)


def _flag(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    raise EvaluationFailed("TYPE_MISMATCH", "sort() takes true or false for descending.")


def pluck(args: list[Value], budget: Budget) -> Value:
    steps = steps_of(args[1], budget)
    return _made([walk_or(entry, steps, None, budget) for entry in list_arg(args[0], "pluck")], budget)


def filter_by(args: list[Value], budget: Budget) -> Value:
    return _made(list(_matching(args, "filter_by", budget)), budget)


def find_by(args: list[Value], budget: Budget) -> Value:
    matching = _matching(args, "find_by", budget)
    return matching[0] if matching else None


def _matching(args: list[Value], function: str, budget: Budget) -> list[Value]:
    steps = steps_of(args[1], budget)
    op = args[2] if len(args) == 4 else "=="
    wanted = args[-1]
    if not isinstance(op, str) or op not in _OPERATORS:
        raise EvaluationFailed("WRONG_ARGUMENTS", f"{function}() compares with one of {', '.join(_OPERATORS)}.")
    kept = []
    for entry in list_arg(args[0], function):
        if _compares(op, walk_or(entry, steps, None, budget), wanted, budget):
            kept.append(entry)
    return kept


_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "contains")


def _compares(op: str, left: Value, right: Value, budget: Budget) -> bool:
    if op in ("==", "!="):
        return equal(left, right, budget) is (op == "==")
    if op in ("in", "contains"):
        whole, part = (right, left) if op == "in" else (left, right)
        return whole is not None and within(part, whole, budget)
    return left is not None and ordered(op, left, right)


def ordered(op: str, left: Value, right: Value) -> bool:
    """`left op right` for <, <=, >, >=."""
    if op == "<":
        return less(left, right)
    if op == "<=":
        return not less(right, left)
    return less(right, left) if op == ">" else not less(left, right)


def within(part: Value, whole: Value, budget: Budget) -> bool:
    """`part in whole`: part of a text, item of a list, key of an object."""
    if isinstance(whole, list):
        return any(equal(part, entry, budget) for entry in whole)
    if isinstance(whole, (str, dict)) and isinstance(part, str):
        budget.step(len(whole) // 64 if isinstance(whole, str) else 1)
        return part in whole
    raise EvaluationFailed(
        "TYPE_MISMATCH", f"{type_name(part)} cannot be looked for in {type_name(whole)}: use a list, text or object."
    )


def contains(args: list[Value], budget: Budget) -> Value:
    return within(args[1], args[0], budget)


def bool_(args: list[Value], budget: Budget) -> Value:
    return truthy(args[0])


def type_of(args: list[Value], budget: Budget) -> Value:
    return type_name(args[0])
