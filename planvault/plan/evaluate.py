"""Evaluates expressions: pure, deterministic, within a budget, failing only with EvaluationFailed.

    evaluate(expr, {"order": {"id": 7}}, Budget()) → Value

A secret stays a handle. It can be passed on (alone, in lists and objects) and joined into text; every other operation
on it fails. Text that comes from outside is never scanned for handles: only SecretRef makes one.
"""

from collections.abc import Mapping

from models.plans import (
    Arith,
    Compare,
    CompareOp,
    DictOf,
    Expr,
    FieldAccess,
    Func,
    IndexAccess,
    ListOf,
    Lit,
    Logic,
    SecretRef,
    Text,
    Unary,
    Var,
)
from models.results import Bound, Stored
from models.values import SecretHandle, SecretText, Value
from planvault.plan.arithmetic import apply, negate
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.functions import FUNCTIONS
from planvault.plan.limits import MAX_EXPR_DEPTH
from planvault.plan.paths import field, item
from planvault.plan.problems import did_you_mean, shown
from planvault.plan.standard.collections import ordered, within
from planvault.plan.values import as_text, equal, join_text, secret_refused, truthy, type_name

__all__ = ["Budget", "EvaluationFailed", "as_text", "evaluate", "evaluate_condition", "evaluate_items", "truthy"]

Scope = Mapping[str, Bound]


def evaluate(expr: Expr, scope: Scope, budget: Budget) -> Value:
    """The value of `expr` where `scope` holds the variables. Raises EvaluationFailed.

    The value may share parts with the scope: treat both as immutable.
    """
    return _evaluate(expr, scope, budget, 1)


def evaluate_condition(expr: Expr, scope: Scope, budget: Budget) -> bool:
    """The truth of an `if` condition."""
    return truthy(evaluate(expr, scope, budget))


def evaluate_items(expr: Expr, scope: Scope, budget: Budget) -> list[Value]:
    """What a `for` goes through: a list's items, or an object's keys."""
    value = evaluate(expr, scope, budget)
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        budget.create_values(value.keys())
        return list(value)
    if isinstance(value, SecretText):
        raise secret_refused("loop")
    raise EvaluationFailed("TYPE_MISMATCH", f"A loop needs a list or an object, not {type_name(value)}.")


def _evaluate(expr: Expr, scope: Scope, budget: Budget, depth: int) -> Value:
    budget.step()
    if depth > MAX_EXPR_DEPTH:
        raise EvaluationFailed("TOO_DEEP", f"The expression is nested more than {MAX_EXPR_DEPTH} deep.")
    match expr:
        case Lit():
            return expr.value
        case Var():
            return _variable(expr.name, scope)
        case SecretRef():
            return SecretText((SecretHandle(expr.name),))
        case FieldAccess():
            return field(_evaluate(expr.base, scope, budget, depth + 1), expr.key)
        case IndexAccess():
            base = _evaluate(expr.base, scope, budget, depth + 1)
            return item(base, _evaluate(expr.index, scope, budget, depth + 1))
        case Unary():
            value = _evaluate(expr.operand, scope, budget, depth + 1)
            return negate(value) if expr.op == "-" else not truthy(value)
        case Logic():
            return _logic(expr, scope, budget, depth)
        case Compare() | Arith():
            left = _evaluate(expr.left, scope, budget, depth + 1)
            right = _evaluate(expr.right, scope, budget, depth + 1)
            return (
                _compare(expr.op, left, right, budget)
                if isinstance(expr, Compare)
                else apply(expr.op, left, right, budget)
            )
        case _:
            return _compound(expr, scope, budget, depth)


def _compound(expr: Text | ListOf | DictOf | Func, scope: Scope, budget: Budget, depth: int) -> Value:
    match expr:
        case Text():
            return join_text([_evaluate(part, scope, budget, depth + 1) for part in expr.parts], budget)
        case ListOf():
            items = [_evaluate(part, scope, budget, depth + 1) for part in expr.items]
            budget.create_values(items)
            return items
        case DictOf():
            entries = {entry.key: _evaluate(entry.value, scope, budget, depth + 1) for entry in expr.entries}
            budget.create_values([entries])
            return entries
        case Func():
            function = FUNCTIONS.get(expr.name)
            if function is None:
                hint = did_you_mean(expr.name, FUNCTIONS)
                raise EvaluationFailed("UNKNOWN_FUNCTION", f"There is no function {shown(expr.name)}. {hint}".strip())
            return function.call([_evaluate(arg, scope, budget, depth + 1) for arg in expr.args], budget)


def _variable(name: str, scope: Scope) -> Value:
    try:
        value = scope[name]
    except KeyError:
        raise EvaluationFailed("UNDEFINED_VARIABLE", f"The variable {shown(name)} has no value.") from None
    if isinstance(value, Stored):
        raise EvaluationFailed(
            "RESULT_TOO_LARGE",
            f"The value has {value.size:,} bytes and is stored: it cannot be passed on or shown whole. Pick a part of "
            'it with get_field(value, "path") or jsonpath(value, "$…").',
        )
    return value


def _logic(expr: Logic, scope: Scope, budget: Budget, depth: int) -> bool:
    """Stops at the first operand that decides."""
    decisive = expr.op == "or"
    for operand in expr.operands:
        if truthy(_evaluate(operand, scope, budget, depth + 1)) is decisive:
            return decisive
    return not decisive


def _compare(op: CompareOp, left: Value, right: Value, budget: Budget) -> bool:
    if isinstance(left, SecretText) or isinstance(right, SecretText):
        raise secret_refused("compare")
    match op:
        case CompareOp.EQ:
            return equal(left, right, budget)
        case CompareOp.NE:
            return not equal(left, right, budget)
        case CompareOp.IN:
            return within(left, right, budget)
        case CompareOp.NOT_IN:
            return not within(left, right, budget)
        case _:
            return ordered(op.value, left, right)
