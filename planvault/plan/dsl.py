"""The Python spelling of a plan: a subset, parsed with `ast` and a whitelist (docs/plan-language.md)."""

import ast

from models.plans import (
    Assignment,
    Call,
    Expr,
    Fail,
    For,
    If,
    Loc,
    Plan,
    PlanNode,
    Reply,
    Slot,
)
from planvault.plan.calls import Calls
from planvault.plan.expressions import Expressions
from planvault.plan.functions import FUNCTIONS
from planvault.plan.limits import MAX_REPLY_BYTES, MAX_SOURCE_BYTES, within_text_limits
from planvault.plan.names import CONCAT
from planvault.plan.problems import Problems
from planvault.plan.refusals import refusal
from planvault.plan.slots import read_slot
from planvault.plan.source import Program, find_program
from planvault.plan.syntax import parse_module

Body = tuple[PlanNode, ...]


def parse_dsl(answer: str, problems: Problems) -> Plan | None:
    """The plan in a planner's answer, holes where it could not be read; None where there is nothing to check.

    Never raises for any text: what is wrong goes to `problems`.
    """
    if not within_text_limits(answer, MAX_REPLY_BYTES, problems):
        return None
    program = find_program(answer, problems)
    if not within_text_limits(program.text, MAX_SOURCE_BYTES, problems):
        return None
    module = parse_module(program, problems)
    if module is None:
        return None
    return _Statements(program, problems).plan(module)


class _Statements:
    def __init__(self, program: Program, problems: Problems) -> None:
        self._locate = program.locate
        self._problems = problems
        self._expressions = Expressions(problems, program.locate)
        self._calls = Calls(self._expressions, program.locate)
        self._count = 0

    def plan(self, module: ast.Module) -> Plan:
        slots: list[Slot] = []
        rest = module.body
        while rest and _is_slot(rest[0]):
            slot = read_slot(rest[0], self._expressions, self._locate)
            slots += [slot] if slot else []
            rest = rest[1:]
        return Plan(slots=tuple(slots), body=self._block(rest))

    def _block(self, statements: list[ast.stmt]) -> Body:
        nodes = (self._statement(statement) for statement in statements)
        return tuple(node for node in nodes if node is not None)

    def _next_id(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def _statement(self, node: ast.stmt) -> PlanNode | None:
        match node:
            case ast.Pass():
                return None
            case ast.Assign(targets=[target]):
                return self._assign(target, node.value, node)
            case ast.AugAssign():
                value = ast.BinOp(_loaded(node.target), node.op, node.value)
                return self._assign(node.target, ast.copy_location(value, node.value), node)
            case ast.Expr(value=ast.Call() as call):
                return self._call_statement(call)
            case ast.If():
                loc, number = self._locate(node), self._next_id()
                condition = self._expressions.convert(node.test)
                then, orelse = self._block(node.body), self._block(node.orelse)
                return If(id=number, condition=condition, then=then, orelse=orelse, loc=loc)
            case ast.For():
                return self._for(node)
            case ast.Expr():
                self._problems.add(
                    "UNUSED_VALUE",
                    "This value is not used.",
                    self._locate(node),
                    "Assign it to a variable, or remove it; comments start with #.",
                )
            case ast.Assign():
                self._problems.add(
                    "NOT_ALLOWED", "One assignment has one target.", self._locate(node), "Write two assignments."
                )
            case _:
                self._problems.add(*_located(refusal(node), self._locate(node)))
        return None

    def _target(self, target: ast.expr) -> str | None:
        if isinstance(target, ast.Name):
            return target.id
        hint = "Write one name on the left."
        if isinstance(target, (ast.Subscript, ast.Attribute)):
            hint = "Values do not change: write object = set_field(object, path, value)."
        self._problems.add("BAD_TARGET", "Only a variable can be assigned to.", self._locate(target), hint)
        return None

    def _assign(self, target_node: ast.expr, value: ast.expr, node: ast.stmt) -> PlanNode | None:
        loc = self._locate(node)
        if _is_slot(node):
            self._problems.add(
                "SLOT_NOT_AT_TOP", "Slots are declared before everything else.", loc, "Move it to the top of the plan."
            )
            return None
        target = self._target(target_node)
        if self._calls.is_call(value):
            return self._call(value, target, loc)
        number = self._next_id()
        expr = self._expressions.convert(value)
        return Assignment(id=number, target=target, expr=expr, loc=loc) if target is not None else None

    def _call(self, value: ast.expr, target: str | None, loc: Loc | None) -> Call | None:
        number = self._next_id()
        read = self._calls.read(value)
        if read is None:
            # The target stays known, so that its uses are not reported as well.
            return Call(id=number, target=target, tool="", loc=loc)
        tool, args, on_error = read
        return Call(id=number, target=target, tool=tool, args=args, on_error=on_error, loc=loc)

    def _call_statement(self, call: ast.Call) -> PlanNode | None:
        loc = self._locate(call)
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in ("reply", "fail"):
            number = self._next_id()
            expr = self._outcome(call, name)
            return (Reply if name == "reply" else Fail)(id=number, expr=expr, loc=loc)
        if name == "slot":
            self._problems.add("BAD_SLOT", "A slot needs a variable.", loc, 'Write name = slot("question") at the top.')
            return None
        if self._calls.is_call(call):
            return self._call(call, None, loc)
        if name in FUNCTIONS or name == CONCAT:
            self._expressions.convert(call)
            self._problems.add(
                "UNUSED_VALUE",
                f"{name}() changes nothing by itself.",
                loc,
                f"Assign its result; a tool of that name is called with call({name!r}, …).",
            )
        else:
            self._expressions.convert(call)
        return None

    def _outcome(self, call: ast.Call, name: str) -> Expr:
        if len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred):
            return self._expressions.convert(call.args[0])
        return self._expressions.refuse(
            call, "WRONG_ARGUMENTS", f"{name}() takes exactly one value.", f'Write {name}(f"… {{value}} …").'
        )

    def _for(self, node: ast.For) -> PlanNode | None:
        loc, number = self._locate(node), self._next_id()
        if node.orelse:
            self._problems.add(
                "NOT_ALLOWED", "A for has no else.", self._locate(node.orelse[0]), "Put it after the loop."
            )
        variable = self._target(node.target)
        iterable = self._expressions.convert(node.iter)
        return For(id=number, variable=variable or "", iterable=iterable, body=self._block(node.body), loc=loc)


def _is_slot(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(value=ast.Call(func=ast.Name(id="slot"))):
            return True
    return False


def _loaded(target: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Name(target.id, ast.Load()), target) if isinstance(target, ast.Name) else target


def _located(said: tuple[str, str, str], loc: Loc | None) -> tuple[str, str, Loc | None, str]:
    code, message, hint = said
    return code, message, loc, hint
