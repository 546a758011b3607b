"""What the examples of the page do not show: budgets, short circuits, loops, sharing."""

import pytest

from models.plans import Arith, Compare, CompareOp, Func, ListOf, Lit, Logic, Text, Unary, Var
from models.values import Value
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate, evaluate_condition, evaluate_items

X = Var(name="x")


def fails(expr: object, scope: dict[str, Value], budget: Budget | None = None) -> str:
    with pytest.raises(EvaluationFailed) as failed:
        evaluate(expr, scope, budget or Budget())  # type: ignore[arg-type]
    return failed.value.code


def test_and_or_do_not_look_at_what_cannot_matter() -> None:
    undefined = Var(name="nowhere")
    assert evaluate(Logic(op="and", operands=(Lit(value=0), undefined)), {}, Budget()) is False
    assert evaluate(Logic(op="or", operands=(Lit(value="x"), undefined)), {}, Budget()) is True


@pytest.mark.parametrize(
    ("value", "truth"),
    [(None, False), (0, False), ("", False), ([], False), ({}, False), (0.0, False), ("0", True), ([0], True)],
)
def test_a_condition_is_the_truth_of_its_value(value: Value, truth: bool) -> None:
    assert evaluate_condition(X, {"x": value}, Budget()) is truth


def test_a_loop_goes_over_items_or_keys_and_nothing_else() -> None:
    assert evaluate_items(X, {"x": [1, 2]}, Budget()) == [1, 2]
    assert evaluate_items(X, {"x": {"a": 1}}, Budget()) == ["a"]
    for value in ("text", 3, None):
        with pytest.raises(EvaluationFailed, match="list or an object"):
            evaluate_items(X, {"x": value}, Budget())


def test_a_value_is_paid_by_the_size_at_which_it_is_written_out() -> None:
    shared: Value = "x" * 1_000
    for _ in range(12):
        shared = [shared, shared]
    budget = Budget(bytes=3_000_000)
    assert fails(ListOf(items=(X,)), {"x": shared}, budget) == "BYTES_EXCEEDED"


def test_reading_a_large_value_costs_nothing() -> None:
    budget = Budget(bytes=10)
    rows: Value = [{"id": i} for i in range(10_000)]
    assert evaluate(Func(name="len", args=(X,)), {"x": rows}, Budget(steps=100_000, bytes=10)) == 10_000
    assert evaluate(X, {"x": rows}, budget) is rows


def test_blow_ups_are_paid_before_they_are_made() -> None:
    text = "a" * 100_000
    replace = Func(name="replace", args=(X, Lit(value="a"), X))
    assert fails(replace, {"x": text}, Budget(bytes=10_000_000)) == "BYTES_EXCEEDED"
    assert fails(Func(name="range", args=(Lit(value=10**12),)), {}) == "STEPS_EXCEEDED"
    assert fails(Text(parts=(X, X)), {"x": text}, Budget(bytes=150_000)) == "BYTES_EXCEEDED"
    assert fails(Arith(op="+", left=X, right=X), {"x": text}, Budget(bytes=150_000)) == "BYTES_EXCEEDED"
    assert fails(Func(name="upper", args=(X,)), {"x": "ß" * 1_000}, Budget(bytes=5_000)) == "BYTES_EXCEEDED"


def test_values_nested_too_deeply_are_refused_where_they_would_be_walked() -> None:
    deep: Value = 1
    for _ in range(5_000):
        deep = [deep]
    for expr in (Func(name="to_json", args=(X,)), ListOf(items=(X,)), Text(parts=(X,))):
        assert fails(expr, {"x": deep}) == "TOO_DEEP"
    same = Compare(op=CompareOp.EQ, left=X, right=X)
    assert evaluate(same, {"x": deep}, Budget()) is True


def test_an_expression_nested_too_deeply_is_refused_rather_than_recursed_into() -> None:
    expr: Unary | Lit = Lit(value=1)
    for _ in range(300):
        expr = Unary(op="not", operand=expr)
    assert fails(expr, {}) == "TOO_DEEP"


def test_functions_leave_their_arguments_alone() -> None:
    before: Value = {"a": {"b": [1, 2]}}
    changed = evaluate(Func(name="set_field", args=(X, Lit(value="a.b[0]"), Lit(value=9))), {"x": before}, Budget())
    assert changed == {"a": {"b": [9, 2]}}
    assert before == {"a": {"b": [1, 2]}}


def test_a_default_stands_in_for_what_is_missing_only() -> None:
    def get(path: Value) -> Func:
        return Func(
            name="get_field", args=(X, Lit(value=path) if isinstance(path, str) else ListOf(items=()), Lit(value=0))
        )

    assert evaluate(get("a[5].b"), {"x": {"a": []}}, Budget()) == 0
    assert evaluate(get("a.b"), {"x": {"a": "text"}}, Budget()) == 0
    assert fails(get("a..b"), {"x": {}}) == "BAD_PATH"


def test_a_missing_field_names_the_nearest_one() -> None:
    with pytest.raises(EvaluationFailed, match="Did you mean 'status'"):
        evaluate(Func(name="get_field", args=(X, Lit(value="statu"))), {"x": {"status": 1}}, Budget())


def test_steps_are_counted_over_all_evaluations_of_a_budget() -> None:
    budget = Budget(steps=10)
    for _ in range(10):
        evaluate(X, {"x": 1}, budget)
    assert fails(X, {"x": 1}, budget) == "STEPS_EXCEEDED"
