"""Conditions: what they may say, what is refused when they are set, and what has no answer."""

import time
from contextlib import suppress
from typing import Any

import pytest

from models.base import JsonValue
from planvault.policy.call_facts import CallFacts
from planvault.policy.cel import MAX_SOURCE, ConditionFailed, ConditionRejected, Examination, compiled, holds


def call(**args: JsonValue) -> CallFacts:
    return CallFacts(
        tool="pay.create",
        args=args,
        version=3,
        integration="pay",
        risk="money",
        idempotency="none",
        tool_calls=2,
        node_id="n1",
        requested_by="alice",
        tags=("eu", "batch"),
    )


@pytest.mark.parametrize(
    ("source", "args", "expected"),
    [
        ("true", {}, True),
        ("args.amount > 100", {"amount": 101}, True),
        ("args.amount > 100", {"amount": 100.5}, True),
        ("args.amount > 100", {"amount": 100}, False),
        ("has(args.amount) && args.amount > 100", {}, False),
        ("args.to.endsWith('@example.com')", {"to": "a@example.com"}, True),
        ("args.to.matches(r'.+@evil[.]com')", {"to": "a@evil.com"}, True),
        ("args['x-y'] == 1", {"x-y": 1}, True),
        ("args.items.exists(i, i.price * i.count > 100.0)", {"items": [{"price": 60.0, "count": 2.0}]}, True),
        ("args.items.all(i, i in ['a', 'b'])", {"items": ["a", "c"]}, False),
        ("size(args.items.filter(i, i > 2)) == 1", {"items": [1, 2, 3]}, True),
        ("args.note == null", {"note": None}, True),
        ("timestamp(args.at) < timestamp('2026-01-01T00:00:00Z')", {"at": "2025-12-31T23:00:00Z"}, True),
        ("tool.name == 'pay.create' && tool.version == 3 && tool.integration == 'pay'", {}, True),
        ("tool.risk == 'money' && tool.idempotency == 'none'", {}, True),
        ("run.toolCalls >= 2 && run.nodeId == 'n1' && run.requestedBy == 'alice'", {}, True),
        ("'eu' in session.tags", {}, True),
        ("args.key == '{{secrets.SHOP}}'", {"key": "{{secrets.SHOP}}"}, True),
        ("args.n == 9007199254740993", {"n": 2**53 + 1}, True),
    ],
)
def test_a_condition_is_true_or_false_of_a_call(source: str, args: dict[str, Any], expected: bool) -> None:
    assert holds(source, call(**args)) is expected


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("arg.amount > 1", "line 1, column 4: arg.amount is not known; did you mean args?"),
        ("true &&\n tool.nam == 'x'", "line 2, column 6: tool.nam is not known; did you mean tool.name?"),
        ("tool == 'x'", "tool is not known; there are tool.name"),
        ("amount > 1", "amount is not known; there are args"),
        ("args.amount >", "line 1, column 14: Syntax error"),
        ("args.size()", "is INT; compare it"),
        ("'text'", "is STRING; compare it"),
        ("tool.name > 5", "no matching overload"),
        ("args.l.map(i, i)", "use exists(), all() or filter()"),
        ("args.l.map // hidden\n (i, i)", "use exists(), all() or filter()"),
        ("args.s.matches(args.p)", "one literal"),
        ("matches(args.s, 'x')", "one literal"),
        ("args.s.matches(r'" + "a" * 201 + "')", "at most 200 characters"),
        ("args.s.matches(r'((a{30}){30}){30}')", "100 repeats"),
        ("args.s.matches(r'a{1,9999999999999999999}')", "100 repeats"),
        ("args.s.matches('*@example.com')", "is no RE2 pattern"),
        ("args.s.matches(r'(?=a)b')", "is no RE2 pattern"),
        ("timestamp(args.at).getHours('Europe/Oslo') > 1", "without a time zone"),
        ("args.s + 1 ==", "Syntax error"),
        ("(" * 40 + "true" + ")" * 40, "recursion limit"),
        ("[" * 200 + "]" * 200 + " == []", "recursion limit"),
        ("x" * (MAX_SOURCE + 1), "at most 1000 characters"),
        ("args.a == '\x00'", "printable"),
        ("now() > 1", "now is not known"),
        ("", "Syntax error"),
    ],
)
def test_a_condition_that_cannot_be_used_is_refused_with_its_place_and_a_way_out(source: str, says: str) -> None:
    with pytest.raises(ConditionRejected) as refused:
        compiled(source)
    assert says in str(refused.value)
    assert "[INVALID_ARGUMENT]" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "args", "says"),
    [
        ("args.amount > 1", {}, "amount"),
        ("args.amount > 1", {"amount": "many"}, "overload"),
        ("args.amount > 1", {"amount": None}, "overload"),
        ("args.a.b.c == 1", {"a": {}}, "b"),
        ("args.x", {"x": "yes"}, "true or false"),
        ("args.n + 1 > 0", {"n": 2**63 - 1}, "overflow"),
        ("args.n / 0 == 1", {"n": 1}, "zero"),
        ("int(args.s) == 1", {"s": "one"}, "convert"),
        ("args.s == 'x'", {"s": "\ud800"}, "not Unicode"),
        ("args.to.endsWith('@example.com')", {"to": "a@example.com\x00,b@evil.com"}, "NUL"),
        ("args.s == 'x'", {"s": "x", "other": [{"a": "b\x00"}]}, "NUL"),
        ("has(args.admin)", {"admin\x00": True}, "NUL"),
        ("args.n < 10", {"n": float("nan")}, "not here as JSON"),
        ("args.n < 10", {"n": 2**63}, "64 bits"),
        ("args.s == 'x'", {"s": "x" * 70_000}, "larger than"),
        (
            "args.l.exists(i, args.s.contains('b'))",
            {"l": [1] * 2_000, "s": "a" * 20_000},
            "too large to judge",
        ),
    ],
)
def test_a_condition_without_an_answer_says_why(source: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(ConditionFailed) as failed:
        holds(source, call(**args))
    assert says in str(failed.value)


@pytest.mark.parametrize(
    ("source", "args"),
    [
        ("{'gold': true}[args.tier]", {"tier": "hunter2"}),
        ("args[args.tier] == 1", {"tier": 'quo"ted hunter2'}),
        ("['a', 'b'][args.pin] == 'a'", {"pin": 4711}),
        ("args.n == 1", {"n": 4711 * 10**20}),
    ],
)
def test_a_reason_tells_no_value_of_a_parameter(source: str, args: dict[str, Any]) -> None:
    """It stands in the record for all to see, also where `displayParams` shows none of them."""
    with pytest.raises(ConditionFailed) as failed:
        holds(source, call(**args))
    assert "hunter2" not in str(failed.value)
    assert "4711" not in str(failed.value)


def test_parameters_nested_too_deeply_have_no_answer() -> None:
    nested: JsonValue = 1
    for _ in range(40):
        nested = [nested]
    with pytest.raises(ConditionFailed, match="deeper than 32"):
        holds("size(args.n) == 1", call(n=nested))


def test_a_long_list_is_no_hindrance_where_a_rule_looks_at_its_entries_only() -> None:
    items: list[JsonValue] = [{"amount": n, "name": "x" * 20} for n in range(800)]
    assert holds("args.items.exists(i, i.amount > 798)", call(items=items))


@pytest.mark.parametrize(
    "source",
    [
        "args.l.all(a, args.l.all(b, args.l.all(c, a + b + c >= 0)))",
        "args.l.all(a, args.m == args.m && args.m == args.m && args.m == args.m && args.m == args.m)",
        "args.l.all(a, !args.s.matches(r'(a{10}){10}$') && !args.s.matches(r'(b{10}){10}$'))",
        "args.l.all(a, !args.s.contains(args.t))",
        "args.l.all(a, (args.s + args.s + args.s + args.s + args.s + args.s).size() > 0)",
        "args.l.filter(a, true).size() > 0",
        "[" + ", ".join(["args.s + args.s + args.s + args.s + args.s"] * 20) + "].size() > 0",
        "args.l.filter(a, args.l.filter(b, a != b).size() > 0).size() > 0",
        "[1, 2, 3, 4, 5, 6, 7].all(a, [1, 2, 3, 4, 5, 6, 7].all(b, [1, 2, 3, 4, 5].all(c, args.m == args.m)))",
    ],
)
def test_a_hostile_condition_ends_quickly(source: str) -> None:
    """Whatever it answers: a host's event loop waits for it."""
    args = call(l=list(range(1_500)), m={str(n): n for n in range(1_000)}, s="a" * 15_000, t="a" * 7_000 + "b")
    began = time.perf_counter()
    with suppress(ConditionFailed, ConditionRejected):
        holds(source, args)
    assert time.perf_counter() - began < 0.5


def test_many_conditions_of_one_call_share_one_bound() -> None:
    """A policy of hostile rules stops a host no longer than one of them."""
    source = "args.l.all(a, args.m == args.m && args.m == args.m)"
    examination = Examination(call(l=list(range(20)), m={str(n): n for n in range(100)}))
    began, answered = time.perf_counter(), 0
    for _ in range(200):
        with suppress(ConditionFailed):
            answered += examination.holds(source)
    assert 0 < answered < 20
    assert time.perf_counter() - began < 1.0
