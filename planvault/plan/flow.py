"""Walks a plan along its paths: which variables are defined where, and whether every path ends.

A `for` body may run no time at all: what it defines is not defined after it, and a reply inside it does not
end the plan.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.plans import (
    Arith,
    Assignment,
    Call,
    Compare,
    DictOf,
    Expr,
    Fail,
    FieldAccess,
    For,
    Func,
    If,
    IndexAccess,
    ListOf,
    Logic,
    PlanNode,
    Reply,
    Text,
    Unary,
)

Body = tuple[PlanNode, ...]


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside `expr`."""
    match expr:
        case FieldAccess():
            return (expr.base,)
        case IndexAccess():
            return expr.base, expr.index
        case Text():
            return expr.parts
        case Compare() | Arith():
            return expr.left, expr.right
        case Logic():
            return expr.operands
        case Unary():
            return (expr.operand,)
        case ListOf():
            return expr.items
        case DictOf():
            return tuple(entry.value for entry in expr.entries)
        case Func():
            return expr.args
        case _:
            return ()


def all_parts(expr: Expr) -> Iterator[Expr]:
    """`expr` and everything inside it, in source order."""
    waiting = [expr]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(parts(current)))


def expressions(node: PlanNode) -> tuple[Expr, ...]:
    """The expressions of a node itself, inner blocks left out."""
    match node:
        case Assignment() | Reply() | Fail():
            return (node.expr,)
        case Call():
            return tuple(arg.expr for arg in node.args)
        case If():
            return (node.condition,)
        case For():
            return (node.iterable,)


def blocks(node: PlanNode) -> tuple[Body, ...]:
    if isinstance(node, If):
        return node.then, node.orelse
    return (node.body,) if isinstance(node, For) else ()


def all_nodes(body: Body) -> Iterator[PlanNode]:
    """Every node, in source order."""
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        yield node
        for block in reversed(blocks(node)):
            waiting.extend(reversed(block))


def targets(body: Body) -> set[str]:
    """Every variable that the block or its inner blocks assign."""
    return {node.target for node in all_nodes(body) if isinstance(node, (Assignment, Call)) and node.target}


def terminates(body: Body) -> bool:
    """Whether every path through the block ends in a reply or fail."""
    return any(_terminal(node) for node in body)


def _terminal(node: PlanNode) -> bool:
    if isinstance(node, (Reply, Fail)):
        return True
    return isinstance(node, If) and terminates(node.then) and terminates(node.orelse)


@dataclass(frozen=True, slots=True)
class Defined:
    """`surely` on every path to here, `maybe` on at least one."""

    surely: frozenset[str] = frozenset()
    maybe: frozenset[str] = field(default_factory=frozenset)

    def plus(self, *names: str) -> "Defined":
        return Defined(self.surely | frozenset(names), self.maybe | frozenset(names))

    def join(self, other: "Defined") -> "Defined":
        return Defined(self.surely & other.surely, self.maybe | other.maybe)
