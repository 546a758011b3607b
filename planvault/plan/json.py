"""The structured spelling of a plan: JSON as `schema.wire_schema` describes it, expressions as strings."""

from models.base import JsonObject, JsonValue
from models.plans import (
    Arg,
    Assignment,
    Call,
    Expr,
    Fail,
    For,
    If,
    Lit,
    OnError,
    Plan,
    PlanNode,
    Reply,
    Slot,
    SlotType,
)
from planvault.plan.expressions import Expressions, hole
from planvault.plan.json_document import Document, read_document
from planvault.plan.json_positions import JsonPath
from planvault.plan.json_tree import NodeTree, node_tree
from planvault.plan.limits import has_surrogate
from planvault.plan.problems import Problems, did_you_mean, shown
from planvault.plan.schema import node_fields
from planvault.plan.slots import slot_type
from planvault.plan.syntax import parse_expression

_SLOT_FIELDS = ("variable", "prompt", "type", "options")
_PLAN_FIELDS = ("slots", "nodes", "body")
_KINDS = node_fields()


def parse_json(answer: str, problems: Problems) -> Plan | None:
    """The plan in a planner's answer, holes where it could not be read; None where there is nothing to check.

    Never raises for any text. Looser than the schema where nothing is lost: nullable fields may be absent, expressions
    may be JSON numbers and booleans.
    """
    document = read_document(answer, problems)
    if document is None:
        return None
    return _Reader(document, problems).plan()


class _Reader:
    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems
        self._count = 0

    def plan(self) -> Plan | None:
        root = self._document.root
        self._known_fields(root, _PLAN_FIELDS, ())
        slots = [self._slot(item, ("slots", i)) for i, item in enumerate(self._list(root, "slots", ()))]
        tree = node_tree(self._document, self._problems)
        if tree is None:
            return None
        body = self._block(tree, tree.roots)
        return Plan(slots=tuple(slot for slot in slots if slot), body=body)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, code: str, message: str, path: JsonPath, hint: str = "") -> None:
        self._problems.add(code, message, self._document.at(path), hint)

    def _known_fields(self, value: JsonObject, known: tuple[str, ...], path: JsonPath) -> None:
        for name in value:
            if name not in known:
                hint = did_you_mean(name, known, f"The fields are {', '.join(known)}.")
                self._add("UNKNOWN_FIELD", f"There is no field {shown(name)} here.", (*path, name), hint)

    def _list(self, value: JsonObject, name: str, path: JsonPath) -> list[JsonValue]:
        found = value.get(name)
        if found is not None and not isinstance(found, list):
            self._add("WRONG_SHAPE", f"{name!r} must be a list.", (*path, name))
        return found if isinstance(found, list) else []

    def _string(self, value: JsonObject, name: str, path: JsonPath) -> str | None:
        """A field that must be a string with something in it."""
        found = value.get(name)
        if isinstance(found, str) and found and not has_surrogate(found):
            return found
        self._add("WRONG_SHAPE", f"{name!r} must be a string, not empty.", (*path, name) if name in value else path)
        return None

    def _slot(self, item: JsonValue, path: JsonPath) -> Slot | None:
        if not isinstance(item, dict):
            self._add("WRONG_SHAPE", "A slot is an object.", path, f"Its fields are {', '.join(_SLOT_FIELDS)}.")
            return None
        self._known_fields(item, _SLOT_FIELDS, path)
        variable, prompt = self._string(item, "variable", path), self._string(item, "prompt", path)
        kind = slot_type(item.get("type")) if item.get("type") is not None else SlotType.STRING
        if kind is None:
            known = [known.value for known in SlotType]
            hint = did_you_mean(str(item["type"])[:60], known, f"The types are {', '.join(known)}.")
            self._add("BAD_SLOT", "There is no such slot type.", (*path, "type"), hint)
        options = self._list(item, "options", path)
        scalars = tuple(o for o in options if o is None or isinstance(o, (bool, int, float, str)))
        if len(scalars) != len(options):
            self._add("BAD_SLOT", "Options are strings, numbers and booleans.", (*path, "options"))
        if variable is None:
            return None
        loc = self._document.at(path)
        return Slot(variable=variable, prompt=prompt or "?", type=kind or SlotType.STRING, options=scalars, loc=loc)

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _block(self, tree: NodeTree, positions: list[int]) -> tuple[PlanNode, ...]:
        nodes = (self._node(tree, position) for position in positions)
        return tuple(node for node in nodes if node is not None)

    def _node(self, tree: NodeTree, position: int) -> PlanNode | None:
        node, path = tree.nodes[position], ("nodes", position)
        self._count += 1
        number, loc = f"n{self._count}", self._document.at(path)
        kind = str(node["kind"])
        self._known_fields(node, ("id", "kind", *_KINDS[kind]), path)
        match kind:
            case "call":
                return self._call(node, path, number)
            case "assignment":
                target, expr = self._string(node, "target", path), self._expr(node, "expr", path)
                return Assignment(id=number, target=target, expr=expr, loc=loc) if target else None
            case "if":
                condition = self._expr(node, "expr", path)
                then = self._block(tree, tree.children(position, "then"))
                orelse = self._block(tree, tree.children(position, "else"))
                return If(id=number, condition=condition, then=then, orelse=orelse, loc=loc)
            case "for":
                variable, iterable = self._string(node, "variable", path), self._expr(node, "expr", path)
                body = self._block(tree, tree.children(position, "body"))
                return For(id=number, variable=variable or "", iterable=iterable, body=body, loc=loc)
            case _:
                return (Reply if kind == "reply" else Fail)(id=number, expr=self._expr(node, "expr", path), loc=loc)

    def _call(self, node: JsonObject, path: JsonPath, number: str) -> Call:
        target = self._string(node, "target", path) if node.get("target") is not None else None
        tool = self._string(node, "tool", path)
        on_error = OnError.FAIL
        policy = node.get("on_error")
        if policy is not None:
            found = next((known for known in OnError if known.value == policy), None)
            if found is None:
                self._add("WRONG_SHAPE", '\'on_error\' is "fail" or "continue".', (*path, "on_error"))
            on_error = found or on_error
        args = [
            arg
            for i, item in enumerate(self._list(node, "args", path))
            if (arg := self._arg(item, (*path, "args", i))) is not None
        ]
        loc = self._document.at(path)
        return Call(id=number, target=target, tool=tool or "", args=tuple(args), on_error=on_error, loc=loc)

    def _arg(self, item: JsonValue, path: JsonPath) -> Arg | None:
        if not isinstance(item, dict):
            self._add("WRONG_SHAPE", "An argument is an object.", path, 'Write {"name": …, "expr": …}.')
            return None
        self._known_fields(item, ("name", "expr"), path)
        name = self._string(item, "name", path)
        expr = self._expr(item, "expr", path)
        return Arg(name=name, expr=expr, loc=self._document.at(path)) if name else None

    def _expr(self, value: JsonObject, name: str, path: JsonPath) -> Expr:
        found, place = value.get(name), (*path, name)
        loc = self._document.at(place if name in value else path)
        if isinstance(found, (bool, int, float)):
            return Lit(value=found, loc=loc)
        if not isinstance(found, str) or not found.strip():
            hint = 'An expression is a string, such as "order.id" or "\'some text\'".'
            self._add("WRONG_SHAPE", f"{name!r} must be an expression.", place if name in value else path, hint)
            return hole(loc)
        source = self._document.expression(found, place)
        tree = parse_expression(source, self._problems)
        return Expressions(self._problems, source.locate).convert(tree) if tree is not None else hole(loc)
