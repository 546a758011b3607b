"""Standard functions on text. Arguments hold no secrets: the caller has refused them."""

import json

from models.base import JsonValue
from models.values import Value
from planvault.plan.budget import MAX_VALUE_DEPTH, Budget, EvaluationFailed, text_bytes
from planvault.plan.limits import INT_MAX, INT_MIN, has_surrogate
from planvault.plan.values import as_text, to_json, type_name

_CASE_GROWTH = 3  # one character becomes at most three: 'ΐ'.upper()


def text_arg(value: Value, function: str) -> str:
    if isinstance(value, str):
        return value
    raise EvaluationFailed("TYPE_MISMATCH", f"{function}() needs text, not {type_name(value)}: str(value) makes text.")


def str_(args: list[Value], budget: Budget) -> Value:
    return as_text(args[0], budget)


def to_json_(args: list[Value], budget: Budget) -> Value:
    return to_json(args[0], budget)


def lower(args: list[Value], budget: Budget) -> Value:
    text = text_arg(args[0], "lower")
    budget.create(_CASE_GROWTH * text_bytes(text))
    return text.lower()


def upper(args: list[Value], budget: Budget) -> Value:
    text = text_arg(args[0], "upper")
    budget.create(_CASE_GROWTH * text_bytes(text))
    return text.upper()


def trim(args: list[Value], budget: Budget) -> Value:
    text = text_arg(args[0], "trim")
    budget.create_text(text)
    return text.strip()


def split(args: list[Value], budget: Budget) -> Value:
    text, separator = text_arg(args[0], "split"), text_arg(args[1], "split")
    if not separator:
        raise EvaluationFailed("WRONG_ARGUMENTS", "split() needs a separator of at least one character.")
    budget.create_text(text)
    parts = text.count(separator) + 1
    budget.step(parts)
    budget.create(64 * parts)
    return list[Value](text.split(separator))


def join(args: list[Value], budget: Budget) -> Value:
    items, separator = args[0], text_arg(args[1], "join")
    if not isinstance(items, list):
        raise EvaluationFailed("TYPE_MISMATCH", f"join() needs a list, not {type_name(items)}.")
    budget.step(len(items))
    budget.create(len(items) * text_bytes(separator))
    return separator.join([as_text(item, budget) for item in items])


def starts_with(args: list[Value], budget: Budget) -> Value:
    return text_arg(args[0], "starts_with").startswith(text_arg(args[1], "starts_with"))


def ends_with(args: list[Value], budget: Budget) -> Value:
    return text_arg(args[0], "ends_with").endswith(text_arg(args[1], "ends_with"))


def replace(args: list[Value], budget: Budget) -> Value:
    text, old, new = (text_arg(arg, "replace") for arg in args)
    if not old:
        raise EvaluationFailed("WRONG_ARGUMENTS", "replace() needs something to look for, at least one character.")
    budget.create(text_bytes(text) + text.count(old) * text_bytes(new))
    return text.replace(old, new)


def parse_json(args: list[Value], budget: Budget) -> Value:
    text = text_arg(args[0], "parse_json")
    _check_depth(text, budget)
    budget.create(16 * len(text))
    try:
        value: JsonValue = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_no_constant)
    except ValueError as error:
        raise EvaluationFailed("BAD_JSON", f"parse_json() got no JSON: {_reason(error)}") from error
    if has_surrogate(json.dumps(value, ensure_ascii=False)):
        raise EvaluationFailed("BAD_JSON", "parse_json() got half of a surrogate pair.")
    return value  # type: ignore[return-value]  # JSON is a Value; lists are invariant


def _check_depth(text: str, budget: Budget) -> None:
    """Brackets inside strings count as well: a rough bound, before a parser that recurses."""
    budget.step(len(text) // 16)
    depth = 0
    for char in text if text.count("[") + text.count("{") > MAX_VALUE_DEPTH else "":
        depth += (char in "[{") - (char in "]}")
        if depth > MAX_VALUE_DEPTH:
            raise EvaluationFailed("TOO_DEEP", f"The JSON is nested more than {MAX_VALUE_DEPTH} levels deep.")


def _reason(error: ValueError) -> str:
    return f"{error.msg} at position {error.pos}." if isinstance(error, json.JSONDecodeError) else f"{error}."


def _whole(digits: str) -> int:
    if len(digits) > 20 or not INT_MIN <= int(digits) <= INT_MAX:
        raise ValueError("an integer does not fit in 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
