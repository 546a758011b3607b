"""Slot declarations in the Python spelling: `name = slot("question", type="integer", options=[1, 2])`."""

import ast
from collections.abc import Callable

from models.base import JsonScalar
from models.plans import ListOf, Lit, Loc, Slot, SlotType
from planvault.plan.expressions import Expressions
from planvault.plan.problems import did_you_mean

_PARAMETERS = ("type", "options")
_UNREADABLE = "?"  # keeps the slot in the plan, so that its uses are not reported as well
_SPELLING = 'Write name = slot("question", type="string", options=["a", "b"]).'


def read_slot(node: ast.stmt, expressions: Expressions, locate: Callable[[ast.AST], Loc | None]) -> Slot | None:
    """The slot that an assignment declares; what is wrong with it goes to the problems, the variable stays known."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
        return None
    target, call = node.targets[0], node.value
    if len(node.targets) != 1 or not isinstance(target, ast.Name):
        expressions.refuse(node, "BAD_SLOT", "A slot has one variable.", _SPELLING)
        return None
    prompt = _text(call.args[0], expressions) if len(call.args) == 1 else None
    if prompt is None:
        expressions.refuse(call, "BAD_SLOT", "A slot needs its question, as a string literal.", _SPELLING)
    kind = SlotType.STRING
    options: tuple[JsonScalar, ...] = ()
    for keyword in call.keywords:
        if keyword.arg == "type":
            kind = _type(keyword.value, expressions)
        elif keyword.arg == "options":
            options = _options(keyword.value, expressions)
        else:
            hint = did_you_mean(keyword.arg or "", _PARAMETERS, _SPELLING)
            expressions.refuse(keyword, "BAD_SLOT", f"slot() has no parameter {keyword.arg!r}.", hint)
    return Slot(variable=target.id, prompt=prompt or _UNREADABLE, type=kind, options=options, loc=locate(node))


def slot_type(name: object) -> SlotType | None:
    return next((kind for kind in SlotType if kind.value == name), None)


def _text(node: ast.expr, expressions: Expressions) -> str | None:
    value = expressions.convert(node)
    return value.value if isinstance(value, Lit) and isinstance(value.value, str) else None


def _type(node: ast.expr, expressions: Expressions) -> SlotType:
    name = _text(node, expressions)
    kind = slot_type(name)
    if kind is None:
        known = [kind.value for kind in SlotType]
        hint = did_you_mean(name or "", known, f"The types are {', '.join(known)}.")
        expressions.refuse(node, "BAD_SLOT", "There is no such slot type.", hint)
    return kind or SlotType.STRING


def _options(node: ast.expr, expressions: Expressions) -> tuple[JsonScalar, ...]:
    value = expressions.convert(node)
    if isinstance(value, Lit) and value.value is None:
        return ()
    if isinstance(value, ListOf) and all(isinstance(item, Lit) for item in value.items):
        return tuple(item.value for item in value.items if isinstance(item, Lit))
    expressions.refuse(node, "BAD_SLOT", "Options are a list of literals.", _SPELLING)
    return ()
