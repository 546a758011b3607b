"""Random plans in canonical form: what the parsers make, and so what rendering must bring back exactly."""

from hypothesis import strategies as st

from models.plans import (
    Arg,
    Arith,
    Assignment,
    Call,
    Compare,
    CompareOp,
    DictOf,
    Entry,
    Expr,
    Fail,
    FieldAccess,
    For,
    Func,
    If,
    IndexAccess,
    ListOf,
    Lit,
    Logic,
    OnError,
    Plan,
    PlanNode,
    Reply,
    SecretRef,
    Slot,
    SlotType,
    Unary,
    Var,
)
from models.values import SecretHandle, SecretText, Value
from planvault.plan.functions import FUNCTIONS
from planvault.plan.names import why_no_variable
from planvault.plan.secret_text import spells_handle, text_of

# Quotes, braces, backslashes and everything else that rendering must get right, more often than chance would bring it.
NASTY = st.sampled_from(
    [
        "",
        "'",
        '"',
        "{",
        "}",
        "{{",
        "}}",
        "\\",
        "\n",
        "#",
        "{secrets.A}",
        "{{secrets.",
        "secrets.A}}",
        "<script>",
        "</script>",
        "```",
    ]
)
UNICODE = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
PLAIN_TEXT = st.lists(st.one_of(NASTY, UNICODE), max_size=4).map("".join).filter(lambda text: not spells_handle(text))
NAME = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(lambda name: why_no_variable(name) is None)
KEY = st.one_of(NAME, PLAIN_TEXT)
INTEGER = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.one_of(st.none(), st.booleans(), INTEGER, FLOAT, PLAIN_TEXT)
SECRET = st.builds(SecretRef, name=st.sampled_from(["A", "TOKEN_2"]))


def negated(operand: Expr) -> Expr:
    """A sign before a positive literal is part of the literal."""
    if isinstance(operand, Lit) and isinstance(operand.value, (int, float)) and not isinstance(operand.value, bool):
        return operand
    return Unary(op="-", operand=operand)


def looked_up(base: Expr, index: Expr) -> Expr:
    """A literal text in brackets is a field."""
    if isinstance(index, Lit) and isinstance(index.value, str):
        return FieldAccess(base=base, key=index.value)
    return IndexAccess(base=base, index=index)


def _compound(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    few = st.lists(inner, max_size=3).map(tuple)
    entries = st.lists(st.builds(Entry, key=KEY, value=inner), max_size=3, unique_by=lambda entry: entry.key)
    return st.one_of(
        st.builds(FieldAccess, base=inner, key=KEY),
        st.builds(looked_up, inner, inner),
        st.lists(st.one_of(inner, SECRET), min_size=1, max_size=4).map(lambda parts: text_of(parts, None)),
        st.builds(Compare, op=st.sampled_from(CompareOp), left=inner, right=inner),
        st.builds(
            Logic, op=st.sampled_from(["and", "or"]), operands=st.lists(inner, min_size=2, max_size=3).map(tuple)
        ),
        st.builds(negated, inner),
        inner.map(lambda operand: Unary(op="not", operand=operand)),
        st.builds(Arith, op=st.sampled_from(["+", "-", "*", "/", "//", "%"]), left=inner, right=inner),
        st.builds(ListOf, items=few),
        st.builds(DictOf, entries=entries.map(tuple)),
        st.builds(Func, name=st.sampled_from(sorted(FUNCTIONS)), args=few),
    )


_ATOM: st.SearchStrategy[Expr] = st.one_of(st.builds(Lit, value=SCALAR), st.builds(Var, name=NAME), SECRET)


def expressions(depth: int) -> st.SearchStrategy[Expr]:
    """At most `depth` levels deep: deeper ones meet the bounds of the parsers, which have tests of their own."""
    return st.one_of(_ATOM, _compound(expressions(depth - 1))) if depth else _ATOM


EXPRESSIONS = expressions(3)

_ARGS = st.lists(st.builds(Arg, name=KEY.filter(bool), expr=EXPRESSIONS), max_size=3, unique_by=lambda arg: arg.name)
_CALL = st.builds(
    Call,
    id=st.just(""),
    target=st.one_of(st.none(), NAME),
    tool=st.one_of(NAME, st.sampled_from(["Music.LookupSong", "len", "class", "reply"]), PLAIN_TEXT.filter(bool)),
    args=_ARGS.map(tuple),
    on_error=st.sampled_from(OnError),
)
_LEAF: st.SearchStrategy[PlanNode] = st.one_of(
    st.builds(Assignment, id=st.just(""), target=NAME, expr=EXPRESSIONS),
    _CALL,
    st.builds(Reply, id=st.just(""), expr=EXPRESSIONS),
    st.builds(Fail, id=st.just(""), expr=EXPRESSIONS),
)


def _blocks(inner: st.SearchStrategy[PlanNode]) -> st.SearchStrategy[PlanNode]:
    block = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(If, id=st.just(""), condition=EXPRESSIONS, then=block, orelse=block),
        st.builds(For, id=st.just(""), variable=NAME, iterable=EXPRESSIONS, body=block),
    )


_NODES = st.one_of(_LEAF, _blocks(st.one_of(_LEAF, _blocks(_LEAF))))
_OPTION = st.one_of(st.booleans(), INTEGER, FLOAT, PLAIN_TEXT)
_SLOTS = st.lists(
    st.builds(
        Slot,
        variable=NAME,
        prompt=PLAIN_TEXT.filter(bool),
        type=st.sampled_from(SlotType),
        options=st.lists(_OPTION, max_size=2).map(tuple),
    ),
    max_size=2,
)


def _numbered(body: tuple[PlanNode, ...], start: int) -> tuple[tuple[PlanNode, ...], int]:
    """The block with ids `n1`, `n2`, … in source order, as the parsers give them."""
    numbered: list[PlanNode] = []
    for node in body:
        changes: dict[str, object] = {"id": f"n{start}"}
        start += 1
        for block in ("then", "orelse", "body"):
            if hasattr(node, block):
                changes[block], start = _numbered(getattr(node, block), start)
        numbered.append(node.model_copy(update=changes))
    return tuple(numbered), start


PLANS = st.builds(
    lambda slots, body: Plan(slots=tuple(slots), body=_numbered(tuple(body), 1)[0]),
    _SLOTS,
    st.lists(_NODES, max_size=4),
)

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        SCALAR,
        st.just("{{secrets.A}}"),
        st.just(SecretText((SecretHandle("A"),))),
        st.just(SecretText(("Bearer ", SecretHandle("A")))),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEY, inner, max_size=4)),
    max_leaves=12,
)
