"""Plans → text, in both spellings. `parse(render(plan)) == plan`, and rendering is stable: one text a plan."""

import json

from models.base import JsonObject, JsonValue
from models.plans import (
    Assignment,
    Call,
    DictOf,
    Entry,
    Fail,
    For,
    If,
    OnError,
    Plan,
    PlanNode,
    Reply,
    Slot,
    SlotType,
)
from planvault.plan.functions import FUNCTIONS
from planvault.plan.names import CONCAT, LITERAL_WORDS, STATEMENT_WORDS, is_identifier
from planvault.plan.render_expr import render_expr, string_literal

__all__ = ["render_call", "render_dsl", "render_expr", "render_json", "to_wire"]

_INDENT = "    "
_NOT_CALLED_BY_NAME = STATEMENT_WORDS | FUNCTIONS.keys() | LITERAL_WORDS.keys() | {CONCAT}


def render_dsl(plan: Plan) -> str:
    """The program, without `<script>` tags, ending in a line break."""
    lines = [_slot(slot) for slot in plan.slots]
    _block(plan.body, "", lines)
    return "".join(f"{line}\n" for line in lines)


def _slot(slot: Slot) -> str:
    parts = [string_literal(slot.prompt)]
    if slot.type is not SlotType.STRING:
        parts.append(f"type={string_literal(slot.type.value)}")
    if slot.options:
        options = ", ".join(string_literal(o) if isinstance(o, str) else repr(o) for o in slot.options)
        parts.append(f"options=[{options}]")
    return f"{slot.variable} = slot({', '.join(parts)})"


def _block(body: tuple[PlanNode, ...], indent: str, lines: list[str]) -> None:
    for node in body:
        _node(node, indent, lines)
    if not body and indent:
        lines.append(f"{indent}pass")


def _node(node: PlanNode, indent: str, lines: list[str]) -> None:
    inner = indent + _INDENT
    match node:
        case Assignment():
            lines.append(f"{indent}{node.target} = {render_expr(node.expr)}")
        case Call():
            target = f"{node.target} = " if node.target is not None else ""
            lines.append(f"{indent}{target}{render_call(node)}")
        case Reply() | Fail():
            lines.append(f"{indent}{node.kind}({render_expr(node.expr)})")
        case For():
            lines.append(f"{indent}for {node.variable} in {render_expr(node.iterable)}:")
            _block(node.body, inner, lines)
        case If():
            _if(node, indent, lines)


def _if(node: If, indent: str, lines: list[str]) -> None:
    word = "if"
    while True:
        lines.append(f"{indent}{word} {render_expr(node.condition)}:")
        _block(node.then, indent + _INDENT, lines)
        rest = node.orelse
        if len(rest) == 1 and isinstance(rest[0], If):
            node, word = rest[0], "elif"
            continue
        if rest:
            lines.append(f"{indent}else:")
            _block(rest, indent + _INDENT, lines)
        return


def render_call(node: Call) -> str:
    """The call alone, without its target."""
    direct = [arg for arg in node.args if is_identifier(arg.name)]
    spread = [arg for arg in node.args if not is_identifier(arg.name)]
    by_name = is_identifier(node.tool) and node.tool not in _NOT_CALLED_BY_NAME
    if spread and direct and node.args[-len(spread) :] != tuple(spread):
        # Keeps the order of the arguments: all of them go into the display.
        direct, spread = [], list(node.args)
    parts = [] if by_name else [string_literal(node.tool)]
    parts += [f"{arg.name}={render_expr(arg.expr)}" for arg in direct]
    if spread:
        display = DictOf(entries=tuple(Entry(key=arg.name, value=arg.expr) for arg in spread))
        parts.append(f"**{render_expr(display)}")
    text = f"{node.tool if by_name else 'call'}({', '.join(parts)})"
    return f"attempt({text})" if node.on_error is OnError.CONTINUE else text


def render_json(plan: Plan) -> str:
    """The structured spelling, compact."""
    return json.dumps(to_wire(plan), ensure_ascii=False, separators=(",", ":"))


def to_wire(plan: Plan) -> JsonObject:
    """The structured spelling as `schema.wire_schema` describes it: nodes flat, in source order, blocks as id lists."""
    nodes: list[JsonValue] = []
    _flatten(plan.body, nodes)
    return {"slots": [_wire_slot(slot) for slot in plan.slots], "nodes": nodes, "body": _ids(plan.body)}


def _wire_slot(slot: Slot) -> JsonObject:
    options: JsonValue = list(slot.options) or None
    return {"variable": slot.variable, "prompt": slot.prompt, "type": slot.type.value, "options": options}


def _ids(body: tuple[PlanNode, ...]) -> list[JsonValue]:
    return [node.id for node in body]


def _flatten(body: tuple[PlanNode, ...], nodes: list[JsonValue]) -> None:
    for node in body:
        wire: JsonObject = {"id": node.id, "kind": node.kind}
        nodes.append(wire)
        match node:
            case Assignment():
                wire.update(target=node.target, expr=render_expr(node.expr))
            case Call():
                args: list[JsonValue] = [{"name": arg.name, "expr": render_expr(arg.expr)} for arg in node.args]
                wire.update(target=node.target, tool=node.tool, args=args, on_error=node.on_error.value)
            case Reply() | Fail():
                wire.update(expr=render_expr(node.expr))
            case If():
                wire.update(expr=render_expr(node.condition), then=_ids(node.then))
                wire["else"] = _ids(node.orelse) or None
                _flatten(node.then, nodes)
                _flatten(node.orelse, nodes)
            case For():
                wire.update(variable=node.variable, expr=render_expr(node.iterable), body=_ids(node.body))
                _flatten(node.body, nodes)
