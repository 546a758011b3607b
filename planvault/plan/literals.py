"""Literals and slots of a plan that no parser wrote: the same bounds as the parsers hold."""

import math

from models.base import JsonScalar
from models.plans import Expr, Lit, Plan, Slot, SlotType
from planvault.plan.flow import all_nodes, expressions, parts
from planvault.plan.inference import json_type
from planvault.plan.limits import INT_MAX, INT_MIN, MAX_EXPR_DEPTH, has_surrogate
from planvault.plan.problems import Problems
from planvault.plan.secret_text import spells_handle


def check_literals(plan: Plan, problems: Problems) -> None:
    for slot in plan.slots:
        _check_slot(slot, problems)
    for node in all_nodes(plan.body):
        for expr in expressions(node):
            _check_expression(expr, problems)


def _check_expression(expr: Expr, problems: Problems) -> None:
    waiting = [(expr, 1)]
    while waiting:
        current, depth = waiting.pop()
        if depth > MAX_EXPR_DEPTH:
            message = f"An expression is nested more than {MAX_EXPR_DEPTH} deep."
            problems.add("TOO_COMPLEX", message, current.loc, "Split it into smaller steps.")
            return
        if isinstance(current, Lit):
            reason = _why_not(current.value)
            if reason:
                problems.add("BAD_LITERAL", reason, current.loc)
        waiting.extend((part, depth + 1) for part in parts(current))


def _why_not(value: JsonScalar) -> str | None:
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        return "Integers have 64 bits."
    if isinstance(value, float) and not math.isfinite(value):
        return "Numbers are finite."
    if isinstance(value, str) and has_surrogate(value):
        return "The string holds half of a surrogate pair."
    if isinstance(value, str) and spells_handle(value):
        return "A secret handle stands in plain text."
    return None


_FITTING = {
    SlotType.STRING: {"string"},
    SlotType.INTEGER: {"integer"},
    SlotType.NUMBER: {"integer", "number"},
    SlotType.BOOLEAN: {"boolean"},
}


def _check_slot(slot: Slot, problems: Problems) -> None:
    if not slot.prompt.strip():
        problems.add("BAD_SLOT", f"The slot {slot.variable!r} asks nothing.", slot.loc, "Write the question.")
    if spells_handle(slot.prompt):
        problems.add("SECRET_NOT_ALLOWED", "A slot's question cannot name a secret.", slot.loc)
    if not slot.options:
        return
    fitting = _FITTING.get(slot.type)
    if fitting is None:
        problems.add("BAD_SLOT", f"A slot of type {slot.type.value} has no options.", slot.loc, "Leave them out.")
    elif any(json_type(option) not in fitting or _why_not(option) for option in slot.options):
        hint = f"Every option must be of the type {slot.type.value}."
        problems.add("BAD_SLOT", f"An option of the slot {slot.variable!r} has another type.", slot.loc, hint)
