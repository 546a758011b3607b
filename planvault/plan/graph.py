"""The plan graph that viewers draw: `planGraph` of the events (api.md).

`{nodes: [{id, kind, label, tool?, next?, then?, else?, body?}]}`: `next` is the id of the node that follows in the
same block, `then`, `else` and `body` are the first nodes of inner blocks. After the last node of an inner block a run
goes on behind the `if`, or back to its `for`.
"""

from models.base import JsonObject, JsonValue
from models.plans import Assignment, Call, Fail, For, If, Plan, PlanNode, Reply
from planvault.plan.render import render_call, render_expr

_LABEL_LENGTH = 120


def plan_graph(plan: Plan) -> JsonObject:
    nodes: list[JsonValue] = []
    _add(plan.body, nodes)
    return {"nodes": nodes}


def _add(body: tuple[PlanNode, ...], nodes: list[JsonValue]) -> None:
    for node, following in zip(body, (*body[1:], None), strict=True):
        drawn: JsonObject = {"id": node.id, "kind": node.kind, "label": _short(_label(node))}
        if isinstance(node, Call):
            drawn["tool"] = node.tool
        if following is not None:
            drawn["next"] = following.id
        nodes.append(drawn)
        for name, block in _blocks(node):
            if block:
                drawn[name] = block[0].id
                _add(block, nodes)


def _blocks(node: PlanNode) -> tuple[tuple[str, tuple[PlanNode, ...]], ...]:
    if isinstance(node, If):
        return ("then", node.then), ("else", node.orelse)
    return (("body", node.body),) if isinstance(node, For) else ()


def _label(node: PlanNode) -> str:
    match node:
        case Assignment():
            return f"{node.target} = {render_expr(node.expr)}"
        case Call():
            return f"{node.target} = {render_call(node)}" if node.target is not None else render_call(node)
        case If():
            return f"if {render_expr(node.condition)}"
        case For():
            return f"for {node.variable} in {render_expr(node.iterable)}"
        case Reply() | Fail():
            return f"{node.kind} {render_expr(node.expr)}"


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else label[: _LABEL_LENGTH - 1] + "…"
