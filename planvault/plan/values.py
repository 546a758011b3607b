"""What values are and do: their type names, truth, equality, order and text. Every operation is paid from a Budget."""

import json
import math
from typing import TypeGuard

from models.base import JsonValue
from models.values import SecretHandle, SecretText, Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.limits import INT_MAX, INT_MIN


def type_name(value: Value) -> str:
    """The JSON type in words; whole numbers are `integer`, text with secret handles is `secret`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, SecretText):
        return "secret"
    return "array" if isinstance(value, list) else "object"


def is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def secret_refused(action: str) -> EvaluationFailed:
    return EvaluationFailed(
        "SECRET_OPERATION",
        f"A secret cannot be used to {action}: it may only be passed to a tool, alone or inside a text.",
    )


def refuse_secrets(value: Value, action: str, budget: Budget) -> None:
    """Fail where `value` is or contains a secret, however deep."""
    if not budget.may_meet_secrets:
        return
    waiting: list[Value] = [value]
    while waiting:
        current = waiting.pop()
        budget.step()
        if isinstance(current, SecretText):
            raise secret_refused(action)
        if isinstance(current, list):
            budget.step(len(current))
            waiting.extend(current)
        elif isinstance(current, dict):
            budget.step(len(current))
            waiting.extend(current.values())


def checked_number(value: int | float) -> int | float:
    """`value` if it is a 64-bit integer or a finite float."""
    if isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            raise EvaluationFailed("NUMBER_OUT_OF_RANGE", "The result does not fit in a 64-bit integer.")
    elif not math.isfinite(value):
        raise EvaluationFailed("NUMBER_OUT_OF_RANGE", "The result is not a finite number.")
    return value


def truthy(value: Value) -> bool:
    """null, false, 0, "", [] and {} are false, all else is true. A secret has no truth."""
    if isinstance(value, SecretText):
        raise secret_refused("decide a condition")
    return bool(value)


def equal(left: Value, right: Value, budget: Budget) -> bool:
    """JSON equality, deep: 1 equals 1.0, true does not equal 1."""
    waiting = [(left, right)]
    while waiting:
        a, b = waiting.pop()
        budget.step()
        if isinstance(a, SecretText) or isinstance(b, SecretText):
            raise secret_refused("compare")
        if isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            budget.step(len(a))
            waiting.extend(zip(a, b, strict=True))
        elif isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            budget.step(len(a))
            waiting.extend((item, b[key]) for key, item in a.items())
        elif isinstance(a, bool) is not isinstance(b, bool) or a != b:
            return False
    return True


def less(left: Value, right: Value) -> bool:
    """Order of two numbers or two strings (by code point); anything else has none."""
    if is_number(left) and is_number(right):
        return left < right
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if isinstance(left, SecretText) or isinstance(right, SecretText):
        raise secret_refused("compare")
    raise EvaluationFailed(
        "TYPE_MISMATCH",
        f"{type_name(left)} and {type_name(right)} have no order: compare two numbers or two strings.",
    )


def plain(value: Value, action: str, budget: Budget) -> JsonValue:
    """`value` as JSON; fails where it holds a secret or is nested too deeply to be written out."""
    budget.visit(value)
    refuse_secrets(value, action, budget)
    return value  # type: ignore[return-value]  # without a SecretText a Value is JSON


def to_json(value: Value, budget: Budget) -> str:
    """Compact JSON, keys in their order, non-ASCII kept."""
    content = plain(value, "make JSON", budget)
    budget.create_values([value])
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    budget.create_text(text)
    return text


def as_text(value: Value, budget: Budget) -> str:
    """Strings as they are, everything else as compact JSON."""
    if isinstance(value, str):
        budget.create_text(value)
        return value
    return to_json(value, budget)


def join_text(parts: list[Value], budget: Budget) -> str | SecretText:
    """The parts' texts one after the other; with a secret among them the handles stay handles."""
    joined: list[str | SecretHandle] = []
    for part in parts:
        if isinstance(part, SecretText):
            budget.step(len(part.parts))
            joined.extend(part.parts)
        else:
            joined.append(as_text(part, budget))
    merged: list[str | SecretHandle] = []
    plain_run: list[str] = []
    for piece in joined:
        if isinstance(piece, str):
            plain_run.append(piece)
            continue
        if any(plain_run):
            merged.append("".join(plain_run))
        plain_run = []
        merged.append(piece)
    tail = "".join(plain_run)
    if not merged:
        return tail
    return SecretText((*merged, tail) if tail else tuple(merged))
