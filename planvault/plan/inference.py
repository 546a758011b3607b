"""What is known of an expression's value before the plan runs: its type, and its value where that is a literal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from models.base import JsonValue
from models.plans import (
    Arith,
    Compare,
    DictOf,
    Expr,
    Func,
    ListOf,
    Lit,
    Logic,
    SecretRef,
    Slot,
    Text,
    Unary,
    Var,
)
from models.values import Value
from planvault.plan.functions import FUNCTIONS
from planvault.plan.names import RUN_STARTED_AT
from planvault.plan.values import type_name

Types = Mapping[str, str | None]
"""Variable → JSON type, None where it is unknown."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value known in full."""

    value: JsonValue


def type_of(expr: Expr, types: Types) -> str | None:
    """The JSON type of the value (`integer` apart from `number`), or None where only the run will tell."""
    match expr:
        case Lit():
            return json_type(expr.value)
        case Var():
            return "string" if expr.name == RUN_STARTED_AT else types.get(expr.name)
        case SecretRef() | Text():
            return "string"
        case Compare() | Logic():
            return "boolean"
        case Unary():
            return "boolean" if expr.op == "not" else type_of(expr.operand, types)
        case Arith():
            return _arith_type(expr, types)
        case ListOf():
            return "array"
        case DictOf():
            return "object"
        case Func():
            function = FUNCTIONS.get(expr.name)
            return function.result if function else None
        case _:
            return None


def _arith_type(expr: Arith, types: Types) -> str | None:
    left, right = type_of(expr.left, types), type_of(expr.right, types)
    if expr.op == "/":
        return "number"
    if left == right and left is not None:
        return left
    return "number" if {left, right} == {"integer", "number"} or expr.op != "+" else None


def literal_of(expr: Expr) -> Literal | None:
    """The value of an expression made of literals only."""
    match expr:
        case Lit():
            return Literal(expr.value)
        case ListOf():
            items = [literal_of(item) for item in expr.items]
            known = [item.value for item in items if item is not None]
            return Literal(known) if len(known) == len(items) else None
        case DictOf():
            entries = {entry.key: literal_of(entry.value) for entry in expr.entries}
            values = {key: item.value for key, item in entries.items() if item is not None}
            return Literal(values) if len(values) == len(entries) else None
        case _:
            return None


def json_type(value: JsonValue) -> str:
    # Every JSON value is a Value; the type checker cannot see it through list's invariance.
    return type_name(cast("Value", value))


def slot_types(slots: tuple[Slot, ...]) -> dict[str, str | None]:
    return {slot.variable: slot.type.value for slot in slots}
