"""A plan does the same whether the values it computes with are at hand or stored apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.base import JsonValue
from models.ids import BlobId
from models.plans import Arg, Assignment, Call, Expr, For, If, Plan, PlanNode, Reply
from models.results import Bound, FragmentFound, FragmentQuery, FragmentRefused, Stored
from planvault.engine.copies import replace
from planvault.engine.fragments import answer_json, answer_of
from planvault.engine.machine import CallReady, Failed, FragmentReady, Replied, advance, complete_call, start
from planvault.plan.dsl import parse_dsl
from planvault.plan.evaluate import Budget
from planvault.plan.problems import Problems
from planvault.tools import fragments as worker
from planvault.tools.shape import shape_of

TURNS = 12
SPELLED = [
    *(
        "a",
        "b",
        "e",
        "item",
        "a.x",
        "a.x.y",
        "a[0]",
        "b[1].x",
        "a.x[item]",
        "b[e]",
        "item.x",
        "e.x",
        "len(a)",
        "len(b.x)",
    ),
    *("a == b", "a.x == e", "a.x == None or b.x", "not a", "a and e", "a.x + 1", "-a.x", "a + b", "e in a", "b.x < 2"),
    *("get_field(a, 'x.y', 7)", "get_field(b, e, None)", "set_field(a, 'x', b)", "merge(a, {'z': b.x})", "keys(a)"),
    *("first(a)", "last(b)", "slice(a, 0, 2)", "append(a, b)", "pluck(a, 'x')", "filter_by(a, 'x', '!=', None)"),
    *(
        "jsonpath(a, '$..x')",
        "jsonpath(b, '$[*]')",
        "coalesce(a, b)",
        "str(a)",
        "to_json(b)",
        "type_of(a)",
        "1",
        "[a, e]",
    ),
    *('f"{a.x} and {e}"', "{'a': a, 'n': 1}", "sum(pluck(a, 'x'))", "range(3)", "unique(a)", "values(b)"),
    *("'{{secrets.K}} {a.x}'", "['{{secrets.K}}', b.x, e]", 'f"{{secrets.K}} {a.x}{e}"'),
]
SCALARS = st.sampled_from([None, True, 0, 1, 2.5, "x", "", "long text, longer than what is inline"])
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner), max_leaves=12
)


@cache
def expr(source: str) -> Expr:
    plan = parse_dsl(f"<script>\nnote(text={source})\nreply(1)\n</script>", Problems())
    assert plan is not None
    assert isinstance(plan.body[0], Call)
    return plan.body[0].args[0].expr


EXPR = st.sampled_from(SPELLED).map(expr)
OPEN = EXPR.filter(lambda value: "secret" not in value.model_dump_json())  # handles stand in arguments only


def _nodes(depth: int) -> st.SearchStrategy[tuple[PlanNode, ...]]:
    leaf = st.one_of(
        st.builds(Assignment, id=st.just("n"), target=st.sampled_from("abe"), expr=OPEN),
        st.builds(lambda value: Call(id="c", target="e", tool="t", args=(Arg(name="v", expr=value),)), EXPR),
    )
    if depth:
        block = _nodes(depth - 1)
        leaf = st.one_of(
            leaf,
            st.builds(If, id=st.just("i"), condition=OPEN, then=block, orelse=block),
            st.builds(For, id=st.just("f"), variable=st.just("item"), iterable=OPEN, body=block),
        )
    return st.lists(leaf, min_size=1, max_size=4).map(tuple)


class Shelf:
    """Blobs in memory, and what a ToolWorker would answer."""

    def __init__(self) -> None:
        self.values: dict[UUID, Any] = {}
        self.asked = 0

    def put(self, value: Any) -> Stored:
        blob_id = BlobId(UUID(int=len(self.values) + 1))
        self.values[blob_id] = value
        return Stored(blob_id=blob_id, size=1, sha256="", media_type="application/json", shape=shape_of(value))

    def answer(self, asked: FragmentQuery) -> FragmentFound | FragmentRefused:
        self.asked += 1
        query = FragmentQuery.model_validate_json(asked.model_dump_json())  # as it crosses to a worker
        stored = {name: self.values[reference.blob_id] for name, reference in query.stored.items()}
        found = worker.evaluated(query, {**query.inline, **stored})
        if isinstance(found, FragmentRefused):
            return found
        return found.answer({position: self.put(orjson.loads(content)) for position, content in found.large.items()})


def ran(body: tuple[PlanNode, ...], given_: Mapping[str, Bound], shelf: Shelf) -> list[object]:
    """What the run does: its calls with their arguments, then how it ends."""
    gets = tuple(Call(id=name, target=name, tool="get") for name in given_)
    machine = start(Plan(body=(*gets, *body, Reply(id="r", expr=expr("[a, b, e]")))), {})
    seen: list[object] = []
    for _ in range(1_000):
        machine, stop = advance(machine, TURNS, Budget())
        match stop:
            case FragmentReady():
                written = orjson.loads(orjson.dumps(answer_json(shelf.answer(stop.query))))  # as the record holds it
                answer = answer_of(written)
                if isinstance(answer, FragmentRefused):
                    return [*seen, answer.code]
                machine = replace(machine, answer=answer)
            case CallReady(node, args):
                value = given_[node.id] if node.id in given_ else len(seen)
                if node.id not in given_:
                    seen.append((node.id, stop.iteration, json.dumps(args, default=str)))
                machine = complete_call(machine, node.target, value)
            case Replied(value):
                return [*seen, json.dumps(value)]
            case Failed(code):
                return [*seen, code]
    raise AssertionError("the run does not end")


def both(
    body: tuple[PlanNode, ...], values: dict[str, Any], apart: frozenset[str]
) -> tuple[list[object], list[object], Shelf]:
    shelf = Shelf()
    at_hand = ran(body, values, Shelf())
    stored = {name: shelf.put(value) if name in apart else value for name, value in values.items()}
    return at_hand, ran(body, stored, shelf), shelf


VALUES = st.fixed_dictionaries({"a": JSON, "b": JSON, "e": JSON})
APART = st.frozensets(st.sampled_from("ab"), min_size=1)


@settings(max_examples=150, deadline=None)
@given(_nodes(2), VALUES, APART)
def test_a_plan_over_stored_values_does_what_it_does_over_values_at_hand(
    body: tuple[PlanNode, ...], values: dict[str, Any], apart: frozenset[str]
) -> None:
    at_hand, stored, _ = both(body, values, apart)
    # A value that nothing reads is not fetched: handed on as it is, it is too large where it would have been shown.
    if stored[-1] == "RESULT_TOO_LARGE":
        assert at_hand[: len(stored) - 1] == stored[:-1]
    else:
        assert stored == at_hand


@settings(max_examples=150, deadline=None)
@given(_nodes(2), VALUES, APART, st.sampled_from([2, 12, 40]))
def test_the_same_when_almost_nothing_is_small_enough(
    body: tuple[PlanNode, ...], values: dict[str, Any], apart: frozenset[str], inline: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "INLINE_BYTES", inline)
        at_hand, stored, _ = both(body, values, apart)
    if stored[-1] == "RESULT_TOO_LARGE":
        assert at_hand[: len(stored) - 1] == stored[:-1]
    else:
        assert stored == at_hand


@settings(max_examples=100, deadline=None)
@given(st.lists(SCALARS, max_size=TURNS), st.sampled_from(["a", "slice(a, 1, 9)", "a"]), st.integers(50, 90))
def test_a_loop_takes_every_item_in_its_turn_however_few_fit_at_once(
    items: list[JsonValue], iterable: str, inline: int
) -> None:
    turn = Call(id="c", tool="t", args=(Arg(name="v", expr=expr("[item, e]")),))
    body = (For(id="f", variable="item", iterable=expr(iterable), body=(turn,)),)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "INLINE_BYTES", inline)
        at_hand, stored, shelf = both(body, {"a": items, "b": 1, "e": 2}, frozenset("a"))
    assert stored[:-1] == at_hand[:-1]  # the reply shows all of it, and may be too large
    assert shelf.asked


def test_a_condition_is_decided_where_the_value_is_however_large() -> None:
    body = (If(id="i", condition=expr("a"), then=(Assignment(id="n", target="a", expr=expr("1")),), orelse=()),)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "INLINE_BYTES", 20)
        at_hand, stored, _ = both(body, {"a": [1] * 50, "b": 1, "e": 2}, frozenset("a"))
    assert at_hand == stored == ["[1, 1, 2]"]


def test_only_what_an_expression_makes_of_a_value_is_fetched() -> None:
    body = (Assignment(id="n", target="a", expr=expr("len(a)")),)
    at_hand, stored, shelf = both(body, {"a": [1, 2, 3], "b": 1, "e": 2}, frozenset("a"))
    assert at_hand == stored == ["[3, 1, 2]"]
    assert shelf.asked == 1


def test_secrets_never_cross_to_a_worker() -> None:
    asked: list[str] = []

    class Watched(Shelf):
        def answer(self, asked_: FragmentQuery) -> FragmentFound | FragmentRefused:
            asked.append(asked_.model_dump_json())
            return super().answer(asked_)

    shelf = Watched()
    body = tuple(
        Call(id="c", tool="t", args=(Arg(name="v", expr=expr(source)),)) for source in SPELLED if "secrets" in source
    )
    done = ran(body, {"a": shelf.put({"x": 1}), "b": shelf.put({"x": 2}), "e": 3}, shelf)
    assert any("secrets" in str(call) or "SecretText" in str(call) for call in done)
    assert asked
    assert not any("secret" in query for query in asked)
