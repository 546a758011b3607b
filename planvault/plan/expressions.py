"""Python expressions → expressions of the plan language: a whitelist over `ast`, every refusal with a way out."""

import ast
import math
from collections.abc import Callable

from models.plans import (
    Arith,
    Compare,
    CompareOp,
    DictOf,
    Entry,
    Expr,
    FieldAccess,
    Func,
    IndexAccess,
    ListOf,
    Lit,
    Loc,
    Logic,
    Unary,
    Var,
)
from planvault.plan.functions import FUNCTIONS
from planvault.plan.limits import INT_MAX, INT_MIN, has_surrogate
from planvault.plan.names import CONCAT, LITERAL_WORDS, STATEMENT_WORDS
from planvault.plan.problems import Problems, shown
from planvault.plan.refusals import method_refusal, refusal
from planvault.plan.secret_text import f_string_parts, text_of

_COMPARISONS: dict[type[ast.cmpop], CompareOp] = {
    ast.Eq: CompareOp.EQ,
    ast.NotEq: CompareOp.NE,
    ast.Lt: CompareOp.LT,
    ast.LtE: CompareOp.LE,
    ast.Gt: CompareOp.GT,
    ast.GtE: CompareOp.GE,
    ast.In: CompareOp.IN,
    ast.NotIn: CompareOp.NOT_IN,
    ast.Is: CompareOp.EQ,
    ast.IsNot: CompareOp.NE,
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}


def hole(loc: Loc | None) -> Expr:
    """Stands where an expression could not be read, so that the rest of the plan can still be checked."""
    return Var(name="", loc=loc)


def is_hole(expr: Expr) -> bool:
    return isinstance(expr, Var) and not expr.name


class Expressions:
    """Converts expressions of one program. Problems go to `problems`; `locate` gives positions in the answer.

    The tree must have passed `limits.tree_problem`: conversion recurses.
    """

    def __init__(self, problems: Problems, locate: Callable[[ast.AST], Loc | None]) -> None:
        self._problems = problems
        self._locate = locate

    def refuse(self, node: ast.AST, code: str, message: str, hint: str = "") -> Expr:
        loc = self._locate(node)
        self._problems.add(code, message, loc, hint)
        return hole(loc)

    def convert(self, node: ast.expr) -> Expr:
        loc = self._locate(node)
        match node:
            case ast.Constant():
                return self._constant(node, loc)
            case ast.Name():
                if node.id in LITERAL_WORDS:
                    return Lit(value=LITERAL_WORDS[node.id], loc=loc)
                return Var(name=node.id, loc=loc)
            case ast.Attribute():
                return self._attribute(node, loc)
            case ast.Subscript():
                return self._subscript(node, loc)
            case ast.JoinedStr():
                return self._f_string(node, loc)
            case ast.Compare():
                return self._compare(node, loc)
            case ast.BoolOp():
                operands = tuple(self.convert(value) for value in node.values)
                return Logic(op="and" if isinstance(node.op, ast.And) else "or", operands=operands, loc=loc)
            case ast.UnaryOp():
                return self._unary(node, loc)
            case ast.BinOp():
                return self._arithmetic(node, loc)
            case ast.List():
                return ListOf(items=tuple(self.convert(item) for item in node.elts), loc=loc)
            case ast.Dict():
                return self._dict(node, loc)
            case ast.Call():
                return self._call(node, loc)
            case _:
                code, message, hint = refusal(node)
                return self.refuse(node, code, message, hint)

    # ── literals ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _constant(self, node: ast.Constant, loc: Loc | None) -> Expr:
        value = node.value
        if value is None or isinstance(value, bool):
            return Lit(value=value, loc=loc)
        if isinstance(value, str):
            if has_surrogate(value):
                return self.refuse(node, "NOT_UNICODE", "The string holds half of a surrogate pair.")
            return text_of([Lit(value=value, loc=loc)], loc)
        if isinstance(value, (int, float)):
            return self._number(node, value, loc)
        return self.refuse(
            node, "NOT_ALLOWED", f"A literal of type {type(value).__name__} is no part of the plan language."
        )

    def _number(self, node: ast.AST, value: int | float, loc: Loc | None) -> Expr:
        if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
            return self.refuse(node, "NUMBER_OUT_OF_RANGE", "Integers have 64 bits.", "Write a long number as text.")
        if isinstance(value, float) and not math.isfinite(value):
            return self.refuse(node, "NUMBER_OUT_OF_RANGE", "The number is too large for a float.")
        return Lit(value=value, loc=loc)

    def _f_string(self, node: ast.JoinedStr, loc: Loc | None) -> Expr:
        parts: list[Expr] = []
        for value in node.values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                if has_surrogate(value.value):
                    return self.refuse(node, "NOT_UNICODE", "The string holds half of a surrogate pair.")
                parts.extend(f_string_parts(value.value, loc))
            elif isinstance(value, ast.FormattedValue):
                if value.conversion != -1 or value.format_spec is not None:
                    self.refuse(
                        value,
                        "NO_FORMAT_SPEC",
                        "f-strings have no conversions or format specifications here.",
                        "Write {value}; use round(value, 2) for decimals.",
                    )
                parts.append(self.convert(value.value))
        return text_of(parts, loc)

    # ── look-ups ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _attribute(self, node: ast.Attribute, loc: Loc | None) -> Expr:
        if node.attr.startswith("__"):
            return self.refuse(
                node, "NO_DUNDER", f"{node.attr!r} is no field: names with two underscores are not allowed."
            )
        if isinstance(node.value, ast.Name) and node.value.id == "secrets":
            return self.refuse(
                node,
                "SECRET_SPELLING",
                "A secret is named inside a string.",
                f'Write "{{{{secrets.{node.attr}}}}}" in quotes.',
            )
        return FieldAccess(base=self.convert(node.value), key=node.attr, loc=loc)

    def _subscript(self, node: ast.Subscript, loc: Loc | None) -> Expr:
        base = self.convert(node.value)
        if isinstance(node.slice, ast.Slice):
            return self.refuse(node, "NO_SLICE", "Slices are not allowed.", "Use slice(value, start, end).")
        index = self.convert(node.slice)
        if isinstance(index, Lit) and isinstance(index.value, str):
            return FieldAccess(base=base, key=index.value, loc=loc)
        return IndexAccess(base=base, index=index, loc=loc)

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _compare(self, node: ast.Compare, loc: Loc | None) -> Expr:
        left, right = self.convert(node.left), self.convert(node.comparators[0])
        if len(node.ops) > 1:
            for comparator in node.comparators[1:]:
                self.convert(comparator)
            return self.refuse(
                node, "NO_CHAINED_COMPARISON", "Comparisons cannot be chained.", "Write a < b and b < c."
            )
        op = node.ops[0]
        if isinstance(op, (ast.Is, ast.IsNot)) and not (isinstance(right, Lit) and right.value is None):
            return self.refuse(node, "NOT_ALLOWED", "`is` is for None only.", "Use == or !=.")
        return Compare(op=_COMPARISONS[type(op)], left=left, right=right, loc=loc)

    def _unary(self, node: ast.UnaryOp, loc: Loc | None) -> Expr:
        if isinstance(node.op, ast.Not):
            return Unary(op="not", operand=self.convert(node.operand), loc=loc)
        if not isinstance(node.op, ast.USub):
            return self.refuse(node, "NOT_ALLOWED", "Only `-` and `not` may stand before a value.")
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return self._number(node, -number, loc)
        return Unary(op="-", operand=self.convert(node.operand), loc=loc)

    def _arithmetic(self, node: ast.BinOp, loc: Loc | None) -> Expr:
        op = _ARITHMETIC.get(type(node.op))
        left, right = self.convert(node.left), self.convert(node.right)
        if op is None:
            hint = "There is no power: multiply." if isinstance(node.op, ast.Pow) else ""
            return self.refuse(node, "NOT_ALLOWED", "The operators are + - * / // and %.", hint)
        return Arith.model_validate({"op": op, "left": left, "right": right, "loc": loc})

    # ── displays and functions ───────────────────────────────────────────────────────────────────────────────────────

    def _dict(self, node: ast.Dict, loc: Loc | None) -> Expr:
        entries: list[Entry] = []
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.convert(value_node)
            if key_node is None:
                self.refuse(value_node, "NOT_ALLOWED", "** does not spread objects here.", "Use merge(a, b).")
                continue
            key = self.convert(key_node)
            if not (isinstance(key, Lit) and isinstance(key.value, str)):
                self.refuse(key_node, "BAD_KEY", "Keys are string literals.", "Use set_field(object, [key], value).")
            elif any(entry.key == key.value for entry in entries):
                self.refuse(key_node, "DUPLICATE_KEY", f"The key {shown(key.value)} stands twice.")
            else:
                entries.append(Entry(key=key.value, value=value, loc=key.loc))
        return DictOf(entries=tuple(entries), loc=loc)

    def _call(self, node: ast.Call, loc: Loc | None) -> Expr:
        if not isinstance(node.func, ast.Name):
            return self.refuse(node, *method_refusal(node.func))
        name = node.func.id
        if name in STATEMENT_WORDS:
            return self.refuse(
                node,
                "STATEMENT_IN_EXPRESSION",
                f"{name}(…) is a statement of its own, not a part of an expression.",
                f"Write result = {name}(…) on its own line, then use result." if name in ("call", "attempt") else "",
            )
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            return self.refuse(node, *_keyword_refusal(name))
        args = tuple(self.convert(arg) for arg in node.args)
        return text_of(args, loc) if name == CONCAT else Func(name=name, args=args, loc=loc)


def _keyword_refusal(name: str) -> tuple[str, str, str]:
    if name in FUNCTIONS:
        hint = f"Write {FUNCTIONS[name].signature}. A tool of that name is called with call({name!r}, …)."
        return "WRONG_ARGUMENTS", f"The function {name}() takes its arguments by position.", hint
    return (
        "CALL_IN_EXPRESSION",
        f"The tool call {name}(…) must be a statement of its own.",
        f"Write result = {name}(…) on its own line, then use result.",
    )
