"""`+ - * / // %` and the sign: on 64-bit integers and finite floats; `+` also joins two texts or two lists."""

import operator
from collections.abc import Callable, Mapping

from models.values import SecretText, Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.values import checked_number, is_number, secret_refused, type_name

Number = int | float
_OPERATIONS: Mapping[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def negate(value: Value) -> Value:
    if is_number(value):
        return checked_number(-value)
    if isinstance(value, SecretText):
        raise secret_refused("calculate")
    raise EvaluationFailed("TYPE_MISMATCH", f"{type_name(value)} has no negative: use a number.")


def apply(op: str, left: Value, right: Value, budget: Budget) -> Value:
    """`left op right`. Division is exact (`/`) or rounds down (`//`); `%` has the divisor's sign."""
    if is_number(left) and is_number(right):
        return _calculate(op, left, right)
    if op == "+" and isinstance(left, str) and isinstance(right, str):
        budget.create_text(left)
        budget.create_text(right)
        return left + right
    if op == "+" and isinstance(left, list) and isinstance(right, list):
        budget.create_values(left)
        budget.create_values(right)
        return left + right
    if isinstance(left, SecretText) or isinstance(right, SecretText):
        raise secret_refused("calculate")
    hint = " Join values into text with an f-string." if op == "+" and str in (type(left), type(right)) else ""
    raise EvaluationFailed(
        "TYPE_MISMATCH", f"{op!r} does not work on {type_name(left)} and {type_name(right)}: use two numbers.{hint}"
    )


def _calculate(op: str, left: Number, right: Number) -> Number:
    try:
        return checked_number(_OPERATIONS[op](left, right))
    except ZeroDivisionError:
        raise EvaluationFailed("DIVISION_BY_ZERO", "Division by zero: check the divisor first.") from None
    except OverflowError:
        raise EvaluationFailed("NUMBER_OUT_OF_RANGE", "The result is too large.") from None
