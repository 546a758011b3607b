"""No condition and no data stops a host, crashes it, or lets a call pass that could not be judged."""

import time
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.runtime_policy import ApprovalRule, RuntimeApproval, RuntimePolicy, RuntimeSafety, SafetyConstraint
from planvault.policy.call_facts import CallFacts
from planvault.policy.cel import ConditionFailed, ConditionRejected, compiled, holds
from planvault.policy.display import shown
from planvault.policy.runtime_rules import Allow, Ask, Deny, judge

_ATOMS = st.one_of(
    st.sampled_from(
        ["args", "args.l", "args.s", "args.m", "args.n", "args.l[0]", "x", "y", "tool.name", "session.tags"]
    ),
    st.sampled_from(["1", "1.5", "1u", "'a'", "r'a{3}'", "b'x'", "true", "null", "[1, 2, args.l]", "{'a': args.m}"]),
)


def _extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">", "&&", "||", "in"]), inner).map(
            " ".join
        ),
        st.tuples(st.sampled_from(["exists", "all", "filter", "exists_one", "map"]), two).map(
            lambda each: f"{each[1][0]}.{each[0]}(x, {each[1][1]})"
        ),
        inner.map("({})".format),
        inner.map("!{}".format),
        inner.map("size({})".format),
        inner.map("string({})".format),
        two.map(lambda each: f"{each[0]}.matches({each[1]})"),
        two.map(lambda each: f"{each[0]}.contains({each[1]})"),
        st.tuples(inner, two).map(lambda each: f"{each[0]} ? {each[1][0]} : {each[1][1]}"),
    )


EXPRESSIONS = st.recursive(_ATOMS, _extended, max_leaves=25)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=30,
)
ARGS = st.fixed_dictionaries(
    {},
    optional={
        "l": st.lists(JSON, max_size=20) | st.just(list(range(2_000))),
        "s": st.text(max_size=100) | st.just("a" * 30_000),
        "m": st.dictionaries(st.text(max_size=5), JSON, max_size=10) | st.just({str(n): n for n in range(1_500)}),
        "n": JSON,
    },
)
_MOST_S = 1.5  # on a loaded machine; the estimate allows about a tenth of it


def _why_not(source: str, args: dict[str, Any]) -> str | None:
    """The reason where there is no answer."""
    try:
        assert holds(source, CallFacts("t", args)) in (True, False)
    except ConditionFailed as fault:
        return str(fault)
    return None


def _why_refused(source: str) -> str | None:
    try:
        compiled(source)
    except ConditionRejected as fault:
        return str(fault)
    return None


@settings(max_examples=250, deadline=None)
@given(EXPRESSIONS, ARGS)
@example("args.l.filter(x, true).size() > 0", {"l": list(range(2_000))})
def test_a_condition_has_an_answer_or_a_reason_and_soon(source: str, args: dict[str, Any]) -> None:
    began = time.perf_counter()
    why = _why_not(source, args)
    assert why is None or 0 < len(why) < 400
    assert time.perf_counter() - began < _MOST_S


@settings(max_examples=250, deadline=None)
@given(st.text(max_size=1_200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
@example("(" * 1_000)
@example("!" * 999 + "1")
@example("-" * 999 + "1")
@example("a." * 499 + "a")
@example("'" + "\\" * 999)
@example("[" * 500 + "]" * 500)
@example("1" * 1_000)
@example("{" * 31 + "}" * 31)
@example("\ud800")
@example("args.s.matches(r'" + "(" * 100 + ")" * 100 + "')")
def test_any_text_is_compiled_or_refused_with_a_reason(source: str) -> None:
    assert _why_refused(source) != ""


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, ARGS)
def test_a_call_passes_only_where_every_rule_was_judged_and_said_no(source: str, args: dict[str, Any]) -> None:
    call = CallFacts("t", args)
    try:
        expected: bool | None = holds(source, call)
    except ConditionFailed:
        expected = None
    rules = RuntimePolicy(runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="r", when=source),)))
    constraints = RuntimePolicy(runtime_safety=RuntimeSafety(constraints=(SafetyConstraint(id="c", when=source),)))
    assert isinstance(judge(rules, call), Allow if expected is False else Ask)
    assert isinstance(judge(constraints, call), Allow if expected is False else Deny)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=10), JSON, max_size=8))
def test_what_is_shown_is_json_of_bounded_size(args: dict[str, Any]) -> None:
    assert len(repr(shown(args).params)) < 200_000
