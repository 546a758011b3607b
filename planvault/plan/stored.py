"""Expressions over stored values: which parts of one a worker evaluates, and how its answers take their place.

A worker gets the largest parts that read a stored value, so that `x.items[0].name` and `sum(pluck(x.items, "n"))` each
bring back one small value. A part with a secret handle in it stays here: handles never leave, only what stands beside
them.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from models.base import JsonValue
from models.plans import DictOf, Expr, Func, ListOf, SecretRef, Text, Unary, Var
from models.results import Bound, FragmentQuery, Stored
from planvault.plan.flow import all_parts, parts


def pieces(expr: Expr, stored: Container[str]) -> list[Expr]:
    """The largest parts of `expr` that read one of the `stored` variables and hold no secret, in source order."""
    return list(_pieces(expr, stored))


def _pieces(expr: Expr, stored: Container[str]) -> Iterator[Expr]:
    inside = list(all_parts(expr))
    if not any(isinstance(part, Var) and part.name in stored for part in inside):
        return
    if any(isinstance(part, SecretRef) for part in inside):
        for part in parts(expr):
            yield from _pieces(part, stored)
    else:
        yield expr


def query_over(exprs: Sequence[Expr], scope: Mapping[str, Bound], *, whole: bool) -> FragmentQuery:
    """The question for these expressions, with every variable that they read."""
    inline: dict[str, JsonValue] = {}
    stored: dict[str, Stored] = {}
    for name in {part.name for expr in exprs for part in all_parts(expr) if isinstance(part, Var)}:
        value = scope.get(name)
        if isinstance(value, Stored):
            stored[name] = value
        elif name in scope:
            inline[name] = value  # type: ignore[assignment]  # no secret stands in a variable: a Value is JSON
    # Not validated: it is made of validated parts, and large values would be walked through.
    return FragmentQuery.model_construct(exprs=tuple(exprs), inline=inline, stored=stored, whole=whole)


def truth_of(condition: Expr) -> Expr:
    """A boolean in place of a value that may be large."""
    return Unary(op="not", operand=Unary(op="not", operand=condition))


def answered_name(position: int) -> str:
    """The variable that stands for an answer: a name that no plan can spell."""
    return f"\0{position}"


def with_answers(expr: Expr, asked: Sequence[Expr]) -> Expr:
    """`expr` with a variable in place of each part that was asked for. Only what may hold secrets is looked into."""
    if expr in asked:
        return Var(name=answered_name(list(asked).index(expr)))
    match expr:
        case Text():
            return expr.model_copy(update={"parts": _each(expr.parts, asked)})
        case ListOf():
            return expr.model_copy(update={"items": _each(expr.items, asked)})
        case Func():
            return expr.model_copy(update={"args": _each(expr.args, asked)})
        case DictOf():
            entries = tuple(
                entry.model_copy(update={"value": with_answers(entry.value, asked)}) for entry in expr.entries
            )
            return expr.model_copy(update={"entries": entries})
        case _:
            return expr


def _each(exprs: Sequence[Expr], asked: Sequence[Expr]) -> tuple[Expr, ...]:
    return tuple(with_answers(expr, asked) for expr in exprs)
