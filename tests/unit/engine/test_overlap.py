"""Which reads can overlap with others, told from the plan: where none can, nobody looks ahead."""

import pytest

from models.plans import (
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
)
from planvault.engine.overlap import overlapping
from tests.unit.engine.plans import call, plan, reply, var

END = reply(Lit(value=1))


def read(node: str, target: str | None = None, needs: str | None = None) -> Call:
    return call(
        node, "get", target, OnError.FAIL, **({} if needs is None else {"id": FieldAccess(base=var(needs), key="id")})
    )


def found(body: Plan) -> set[str]:
    return set(overlapping(body, lambda node: node.tool == "get"))


def loop(*body: PlanNode, over: Expr | None = None) -> For:
    return For(id="loop", variable="item", iterable=over or ListOf(items=(Lit(value=1), Lit(value=2))), body=body)


def test_independent_reads_overlap_all_but_the_last() -> None:
    assert found(plan(read("n1", "x"), read("n2", "y"), read("n3", "z"), END)) == {"n1", "n2"}


def test_a_chain_of_reads_overlaps_nowhere() -> None:
    assert found(plan(read("n1", "x"), read("n2", "y", "x"), read("n3", "z", "y"), END)) == set()


def test_what_is_computed_from_a_result_is_not_known_before_it() -> None:
    taken = Assignment(id="n2", target="y", expr=FieldAccess(base=var("x"), key="id"))
    assert found(plan(read("n1", "x"), taken, read("n3", "z", "y"), END)) == set()


def test_a_name_that_is_given_something_else_is_known_again() -> None:
    again = Assignment(id="n2", target="x", expr=Lit(value=1))
    assert found(plan(read("n1", "x"), again, read("n3", "z", "x"), END)) == {"n1"}


def test_a_call_that_is_no_read_stands_between() -> None:
    assert found(plan(read("n1", "x"), call("n2", "send"), read("n3", "z"), read("n4"), END)) == {"n3"}


def test_a_read_further_on_counts_although_the_next_one_needs_a_result() -> None:
    assert found(plan(read("n1", "x"), read("n2", "y", "x"), read("n3", "z"), END)) == {"n1", "n2"}


def test_the_turns_of_a_loop_overlap_where_they_need_nothing_of_each_other() -> None:
    assert found(plan(loop(read("n1", "x", "item")), END)) == {"n1"}
    assert found(plan(Assignment(id="n0", target="x", expr=Lit(value=0)), loop(read("n1", "x", "x")), END)) == set()


@pytest.mark.parametrize("known", [True, False])
def test_behind_a_branch_there_may_be_reads_once_it_is_known_which_way_it_goes(known: bool) -> None:
    condition = Compare(op=CompareOp.EQ, left=Lit(value=1) if known else var("x"), right=Lit(value=1))
    branch = If(id="n2", condition=condition, then=(read("n3"),))
    assert ("n1" in found(plan(read("n1", "x"), branch, END))) is known


def test_a_loop_over_what_is_not_known_ends_the_look() -> None:
    assert found(plan(read("n1", "x"), loop(call("n2", "get"), over=var("x")), END)) == {"n2"}


def test_reads_in_both_branches_see_what_comes_behind_them() -> None:
    branch = If(id="n1", condition=Lit(value=True), then=(read("n2", "x"),), orelse=(read("n3", "x"),))
    assert found(plan(branch, read("n4", "y"), END)) == {"n2", "n3"}
