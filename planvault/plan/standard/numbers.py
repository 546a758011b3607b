"""Standard functions on numbers. Arguments hold no secrets: the caller has refused them."""

import math
import re

from models.values import Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.limits import MAX_NUMBER_LENGTH
from planvault.plan.values import checked_number, is_number, less, type_name

_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DIGITS = 15


def number_arg(value: Value, function: str) -> int | float:
    if is_number(value):
        return value
    raise EvaluationFailed("TYPE_MISMATCH", f"{function}() needs a number, not {type_name(value)}.")


def int_(args: list[Value], budget: Budget) -> Value:
    value = args[0]
    if isinstance(value, str):
        digits = _digits(value, _WHOLE, "int")
        return checked_number(int(digits))
    if isinstance(value, bool):
        return int(value)
    return checked_number(math.trunc(number_arg(value, "int")))


def float_(args: list[Value], budget: Budget) -> Value:
    value = args[0]
    if isinstance(value, str):
        return checked_number(float(_digits(value, _DECIMAL, "float")))
    return float(number_arg(value, "float"))


def _digits(value: str, form: re.Pattern[str], function: str) -> str:
    digits = value[: 4 * MAX_NUMBER_LENGTH].strip()
    if len(digits) > MAX_NUMBER_LENGTH or not form.fullmatch(digits):
        raise EvaluationFailed("NOT_A_NUMBER", f"{function}() got a text that is no such number.")
    return digits


def round_(args: list[Value], budget: Budget) -> Value:
    value = number_arg(args[0], "round")
    if len(args) == 1:
        return checked_number(round(value))
    digits = args[1]
    if not isinstance(digits, int) or isinstance(digits, bool) or not 0 <= digits <= _DIGITS:
        raise EvaluationFailed("WRONG_ARGUMENTS", f"round() takes 0 to {_DIGITS} digits.")
    return checked_number(round(value, digits))


def abs_(args: list[Value], budget: Budget) -> Value:
    return checked_number(abs(number_arg(args[0], "abs")))


def range_(args: list[Value], budget: Budget) -> Value:
    bounds = [arg for arg in args if isinstance(arg, int) and not isinstance(arg, bool)]
    if len(bounds) != len(args):
        raise EvaluationFailed("TYPE_MISMATCH", "range() needs integers: int(value) makes one.")
    start, stop = (0, bounds[0]) if len(bounds) == 1 else bounds
    count = max(0, stop - start)
    budget.step(count)
    budget.create(8 * count)
    return list[Value](range(start, stop))


def sum_(args: list[Value], budget: Budget) -> Value:
    items = args[0]
    if not isinstance(items, list):
        raise EvaluationFailed("TYPE_MISMATCH", f"sum() needs a list of numbers, not {type_name(items)}.")
    total: int | float = 0
    for item in items:
        budget.step()
        total = checked_number(total + number_arg(item, "sum"))
    return total


def min_(args: list[Value], budget: Budget) -> Value:
    return _extreme(args, "min", budget)


def max_(args: list[Value], budget: Budget) -> Value:
    return _extreme(args, "max", budget)


def _extreme(args: list[Value], function: str, budget: Budget) -> Value:
    """The first of the smallest or largest; a single list argument stands for its items."""
    items = args[0] if len(args) == 1 and isinstance(args[0], list) else args
    if not items:
        raise EvaluationFailed("EMPTY_LIST", f"{function}() of an empty list: check len() first.")
    best = items[0]
    if not isinstance(best, str):
        number_arg(best, function)
    for item in items[1:]:
        budget.step()
        if less(item, best) if function == "min" else less(best, item):
            best = item
    return best
