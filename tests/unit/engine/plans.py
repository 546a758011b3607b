"""Small plans for tests of the engine."""

from models.plans import (
    Arg,
    Assignment,
    Call,
    Compare,
    CompareOp,
    Expr,
    FieldAccess,
    For,
    If,
    ListOf,
    Lit,
    OnError,
    Plan,
    PlanNode,
    Reply,
    Slot,
    Text,
    Var,
)
from models.plans import Fail as FailNode


def var(name: str) -> Var:
    return Var(name=name)


def call(node: str, tool: str, target: str | None = None, on_error: OnError = OnError.FAIL, **args: Expr) -> Call:
    return Call(
        id=node,
        tool=tool,
        target=target,
        on_error=on_error,
        args=tuple(Arg(name=name, expr=expr) for name, expr in args.items()),
    )


def reply(expr: Expr, node: str = "n9") -> Reply:
    return Reply(id=node, expr=expr)


def plan(*body: PlanNode, slots: tuple[Slot, ...] = ()) -> Plan:
    return Plan(body=body, slots=slots)


ONE_CALL = plan(call("n1", "get", "x", id=Lit(value=7)), reply(FieldAccess(base=var("x"), key="name")))

TWO_CALLS = plan(
    call("n1", "get", "x"),
    call("n2", "send", "y", to=FieldAccess(base=var("x"), key="email")),
    reply(Text(parts=(Lit(value="sent to "), FieldAccess(base=var("x"), key="email")))),
)

LOOP = plan(
    call("n1", "get", "orders"),
    Assignment(id="n2", target="sent", expr=Lit(value=0)),
    For(
        id="n3",
        variable="order",
        iterable=var("orders"),
        body=(
            If(
                id="n4",
                condition=Compare(
                    op=CompareOp.GT, left=FieldAccess(base=var("order"), key="total"), right=Lit(value=10)
                ),
                then=(call("n5", "send", None, id=FieldAccess(base=var("order"), key="id")),),
            ),
        ),
    ),
    reply(ListOf(items=(Lit(value="done"),))),
)

FAILING = plan(FailNode(id="n1", expr=Lit(value="no such customer")))
