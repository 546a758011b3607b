"""Evaluation ends, stays within its budget, fails in one way only, and never lets a secret out of its handle."""

import contextlib
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.plans import Arith, Expr, Func, ListOf, Lit, Text, Var
from models.values import SecretHandle, SecretText, Value
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate
from planvault.plan.functions import FUNCTIONS
from tests.property.plans import EXPRESSIONS, NAME, VALUES

SCOPES = st.dictionaries(NAME, VALUES, max_size=4)
DOUBLED = ListOf(items=(Var(name="x"), Var(name="x")))


def spelled(value: Value) -> str:
    """The value written out, handles spelled."""
    return json.dumps(value, default=str, ensure_ascii=False)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, SCOPES, st.integers(0, 300), st.integers(0, 3000))
def test_an_expression_has_a_value_or_fails_in_the_one_way(
    expr: Expr, scope: dict[str, Value], steps: int, size: int
) -> None:
    budget = Budget(steps, size)
    try:
        first = evaluate(expr, scope, budget)
    except EvaluationFailed:
        return
    assert budget.steps_left >= 0
    assert budget.bytes_left >= 0
    assert spelled(evaluate(expr, scope, Budget())) == spelled(first)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(VALUES, max_size=4))
@example("replace", ["a" * 100, "a", "b" * 100])
@example("round", [1e300, 15])
@example("int", [1e300])
@example("sum", [[2**62, 2**62]])
@example("parse_json", ["[" * 5000])
@example("parse_json", ["1" * 5000])
@example("parse_json", ['"\\ud800"'])
@example("set_field", [{}, "a" + "[0]" * 3, 1])
def test_every_function_is_total_in_its_errors(name: str, args: list[Value]) -> None:
    scope = {f"a{i}": arg for i, arg in enumerate(args)}
    expr = Func(name=name, args=tuple(Var(name=key) for key in scope))
    before = spelled(scope)
    with contextlib.suppress(EvaluationFailed):
        evaluate(expr, scope, Budget())
    assert spelled(scope) == before, "a function changed its arguments"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(st.sampled_from(["a", 0, "==", [1], {"a": 1}]), max_size=3))
def test_a_function_hands_a_secret_on_or_refuses_it(name: str, others: list[Value]) -> None:
    secret = SecretText((SecretHandle("A"),))
    scope: dict[str, Value] = {"s": secret, **{f"a{i}": other for i, other in enumerate(others)}}
    expr = Func(name=name, args=tuple(Var(name=key) for key in scope))
    try:
        value = evaluate(expr, scope, Budget())
    except EvaluationFailed:
        return
    assert FUNCTIONS[name].passes
    assert "{{secrets.A}}" not in spelled(value) or _holds(value, secret)


def _holds(value: Value, secret: SecretText) -> bool:
    if isinstance(value, list):
        return any(_holds(item, secret) for item in value)
    if isinstance(value, dict):
        return any(_holds(item, secret) for item in value.values())
    return value is secret


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            DOUBLED,
            Arith(op="+", left=Var(name="x"), right=Var(name="x")),
            Text(parts=(Var(name="x"), Var(name="x"))),
            Func(name="replace", args=(Text(parts=(Var(name="x"),)), Lit(value="a"), Text(parts=(Var(name="x"),)))),
            Func(name="join", args=(ListOf(items=(Var(name="x"), Var(name="x"))), Lit(value="a"))),
            Func(name="to_json", args=(DOUBLED,)),
            Func(name="append", args=(DOUBLED, Var(name="x"))),
            Func(name="set_field", args=(DOUBLED, Lit(value="[0]"), DOUBLED)),
        ]
    ),
    st.sampled_from([["aaaa"], "aaaa"]),
    st.integers(200, 20_000),
)
def test_doubling_stops_at_the_budget(expr: Expr, start: Value, size: int) -> None:
    value = start
    for _ in range(60):
        try:
            value = evaluate(expr, {"x": value}, Budget(10_000, size))
        except EvaluationFailed:
            return
        assert len(spelled(value)) <= 6 * size
    raise AssertionError("sixty doublings stayed within the budget")
