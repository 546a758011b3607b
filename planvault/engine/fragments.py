"""What a plan needs of values that are stored apart: the question that a node asks, and how its answer is used.

The machine stops before a node that reads a stored value, asks for what the node's expressions make of it, and goes on
with the answer as if the value had been there. Asking again is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from models.ids import BlobId
from models.plans import Assignment, Call, Expr, For, If, PlanNode, Var
from models.results import (
    Bound,
    FragmentAnswer,
    FragmentFound,
    FragmentPart,
    FragmentQuery,
    FragmentRefused,
    Stored,
)
from models.values import Value
from planvault.plan.flow import expressions
from planvault.plan.stored import answered_name, pieces, query_over, truth_of, with_answers

_ITEMS = "\0items"


@dataclass(frozen=True, slots=True)
class Given:
    """A node with variables in place of what was asked, and the scope that holds them."""

    node: PlanNode
    scope: Mapping[str, Bound]


def question(
    node: PlanNode, scope: Mapping[str, Bound], stored: frozenset[str], turns_left: int
) -> FragmentQuery | None:
    """What must be known before the node can run; None where it reads no stored value, or hands one on whole."""
    if isinstance(node, For):
        if not pieces(node.iterable, stored):
            return None
        asked = query_over([node.iterable], scope, whole=False)
        return asked.model_copy(update={"items_from": 0, "most_items": turns_left})
    wanted = _wanted(node, stored)
    return query_over(wanted, scope, whole=not isinstance(node, Assignment)) if wanted else None


def next_items(source: Stored, position: int, total: int) -> FragmentQuery:
    """The items of a loop from a position on."""
    asked = query_over([Var(name=_ITEMS)], {_ITEMS: source}, whole=False)
    return asked.model_copy(update={"items_from": position, "most_items": total})


def with_answer(node: PlanNode, scope: Mapping[str, Bound], stored: frozenset[str], found: FragmentFound) -> Given:
    """The node as it can run now."""
    asked = _wanted(node, stored)
    values = {answered_name(position): bound(part) for position, part in enumerate(found.parts)}
    return Given(_rewritten(node, asked), {**scope, **values})


def bound(part: FragmentPart) -> Bound:
    # Every JSON value is a Value; the type checker cannot see it through list's invariance.
    return cast("Value", part.value) if part.stored is None else part.stored


def answer_json(answer: FragmentAnswer) -> dict[str, Any]:
    """The answer as the record holds it. Values are JSON already, and can be large: they are not walked through."""
    if isinstance(answer, FragmentRefused):
        return {"code": answer.code, "message": answer.message}
    parts = [{"value": part.value} if part.stored is None else {"stored": _json(part.stored)} for part in answer.parts]
    return {"parts": parts, "total": answer.total, "source": answer.source and _json(answer.source)}


def answer_of(payload: Mapping[str, Any]) -> FragmentAnswer:
    """The other way around."""
    if "code" in payload:
        return FragmentRefused(code=payload["code"], message=payload["message"])
    parts = tuple(
        FragmentPart(stored=Stored.model_validate(part["stored"]))
        if "stored" in part
        else FragmentPart.model_construct(value=part["value"])
        for part in payload["parts"]
    )
    source = payload["source"] and Stored.model_validate(payload["source"])
    return FragmentFound.model_construct(parts=parts, total=payload["total"], source=source)


def blobs_of(answer: FragmentAnswer) -> list[BlobId]:
    """Blobs that the answer is the first to name."""
    if isinstance(answer, FragmentRefused):
        return []
    named = [part.stored for part in answer.parts] + [answer.source]
    return [stored.blob_id for stored in named if stored is not None]


def _json(stored: Stored) -> dict[str, Any]:
    return stored.model_dump(mode="json")


def _wanted(node: PlanNode, stored: frozenset[str]) -> list[Expr]:
    if isinstance(node, If):
        return [truth_of(node.condition)] if pieces(node.condition, stored) else []
    # A variable alone is handed on as it is: to another name, or to a fault that says what to do.
    whole = [expr for expr in expressions(node) if not isinstance(expr, Var)]
    return [piece for expr in whole for piece in pieces(expr, stored)]


def _rewritten(node: PlanNode, asked: list[Expr]) -> PlanNode:
    match node:
        case If():
            return node.model_copy(update={"condition": Var(name=answered_name(0))})
        case Call():
            args = tuple(arg.model_copy(update={"expr": with_answers(arg.expr, asked)}) for arg in node.args)
            return node.model_copy(update={"args": args})
        case For():
            raise AssertionError("a loop's items are no expression's value")
        case _:
            return node.model_copy(update={"expr": with_answers(node.expr, asked)})
