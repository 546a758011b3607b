"""The intermediate representation of a plan, to which both spellings compile.

A plan is a list of declared slots and one block of nodes. Expressions are pure. `docs/plan-language.md` is the
grammar; `planvault.plan` parses, resolves, validates, renders and evaluates.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from models.base import Frozen, JsonScalar


class Loc:
    """Where something stood in its source: 1-based line and column.

    Two plans that mean the same are equal wherever they were written, so a Loc equals everything it can be compared
    with and takes no part in hashing or serialisation.
    """

    __slots__ = ("column", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"Loc({self.line}, {self.column})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls)


class Located(Frozen):
    loc: Loc | None = Field(default=None, exclude=True, repr=False)


# ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Lit(Located):
    """A literal scalar: null, boolean, 64-bit integer, finite float or string without secret handles."""

    kind: Literal["lit"] = "lit"
    value: JsonScalar


class Var(Located):
    """A variable: an assignment's or call's target, a loop variable, a slot, or the constant `run_started_at`."""

    kind: Literal["var"] = "var"
    name: str


class SecretRef(Located):
    """`{{secrets.NAME}}`: a handle that only the tool executor turns into a value."""

    kind: Literal["secret"] = "secret"
    name: str


class FieldAccess(Located):
    """`base.key`, a key look-up (never a Python attribute)."""

    kind: Literal["field"] = "field"
    base: Expr
    key: str


class IndexAccess(Located):
    """`base[index]`: list position or object key."""

    kind: Literal["index"] = "index"
    base: Expr
    index: Expr


class Text(Located):
    """An f-string, or a string with secret handles in it: the parts' texts, joined."""

    kind: Literal["text"] = "text"
    parts: tuple[Expr, ...]


class CompareOp(StrEnum):
    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"


class Compare(Located):
    kind: Literal["compare"] = "compare"
    op: CompareOp
    left: Expr
    right: Expr


class Logic(Located):
    """`and` / `or` over two or more operands, short-circuit, result boolean."""

    kind: Literal["logic"] = "logic"
    op: Literal["and", "or"]
    operands: tuple[Expr, ...]


class Unary(Located):
    kind: Literal["unary"] = "unary"
    op: Literal["not", "-"]
    operand: Expr


class Arith(Located):
    kind: Literal["arith"] = "arith"
    op: Literal["+", "-", "*", "/", "//", "%"]
    left: Expr
    right: Expr


class ListOf(Located):
    kind: Literal["list"] = "list"
    items: tuple[Expr, ...]


class Entry(Located):
    key: str
    value: Expr


class DictOf(Located):
    kind: Literal["dict"] = "dict"
    entries: tuple[Entry, ...]


class Func(Located):
    """A standard function (`planvault.plan.functions`), positional arguments only."""

    kind: Literal["func"] = "func"
    name: str
    args: tuple[Expr, ...]


Expr = Annotated[
    Lit | Var | SecretRef | FieldAccess | IndexAccess | Text | Compare | Logic | Unary | Arith | ListOf | DictOf | Func,
    Field(discriminator="kind"),
]


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Arg(Located):
    """One named argument of a call. `name` is the tool's flat parameter name, identifier or not."""

    name: str
    expr: Expr


class OnError(StrEnum):
    FAIL = "fail"
    CONTINUE = "continue"  # the target becomes null and the run goes on


class Node(Located):
    id: str  # unique in the plan; `n1`, `n2`, … in source order


class Assignment(Node):
    kind: Literal["assignment"] = "assignment"
    target: str
    expr: Expr


class Call(Node):
    kind: Literal["call"] = "call"
    target: str | None = None
    tool: str
    args: tuple[Arg, ...] = ()
    on_error: OnError = OnError.FAIL


class If(Node):
    kind: Literal["if"] = "if"
    condition: Expr
    then: tuple[PlanNode, ...]
    orelse: tuple[PlanNode, ...] = ()


class For(Node):
    kind: Literal["for"] = "for"
    variable: str
    iterable: Expr
    body: tuple[PlanNode, ...]


class Reply(Node):
    kind: Literal["reply"] = "reply"
    expr: Expr


class Fail(Node):
    kind: Literal["fail"] = "fail"
    expr: Expr


PlanNode = Annotated[Assignment | Call | If | For | Reply | Fail, Field(discriminator="kind")]


class SlotType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"


class Slot(Located):
    """A declared input that a person fills before the plan runs. `variable` is then in scope everywhere."""

    variable: str
    prompt: str
    type: SlotType = SlotType.STRING
    options: tuple[JsonScalar, ...] = ()


class Plan(Frozen):
    slots: tuple[Slot, ...] = ()
    body: tuple[PlanNode, ...]


for _model in (FieldAccess, IndexAccess, Text, Compare, Logic, Unary, Arith, ListOf, Entry, DictOf, Func, Arg):
    _model.model_rebuild()
for _node in (Assignment, Call, If, For, Reply, Fail, Plan):
    _node.model_rebuild()


class PlannerMode(StrEnum):
    STRUCTURED_JSON = "structured_json"
    PYTHON_DSL = "python_dsl"
