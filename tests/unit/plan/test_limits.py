"""Hostile sizes and depths are refused with a problem, in bounded time, by both parsers."""

import ast
import json
from time import perf_counter

import pytest

from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.plan.dsl import parse_dsl
from planvault.plan.limits import MAX_BLOCK_DEPTH, MAX_CHAINED_IFS, MAX_SOURCE_BYTES, parseable
from planvault.plan.problems import Problems
from planvault.plan.render import render_dsl, render_json

DEEP = 50_000
HOSTILE = {
    "brackets": "x = " + "(" * 1_000 + "1" + ")" * 1_000,
    "open brackets": "[" * DEEP,
    "objects": "x = " + "{1:" * 10_000,
    "unary tower": "x = " + "-" * DEEP + "1",
    "not tower": "x = " + "not " * 12_000 + "1",
    "mixed tower": "x = " + "not -" * 10_000 + "1",
    "unary tower in an f-string": 'x = f"{' + "-" * DEEP + '1}"',
    "brackets in an f-string": 'x = f"{' + "(" * 1_000 + "1" + ")" * 1_000 + '}"',
    "attribute chain": "x = " + "a." * 20_000 + "b",
    "index chain": "x = a" + "[0]" * 3_000,
    "sum": "x = " + "1+" * 7_000 + "1",
    "elif chain": "if a:\n pass\n" + "elif a:\n pass\n" * 1_500,
    "conditional chain": "x = " + "a if b else " * 3_000 + "c",
    "lambda tower": "lambda:" * 6_000 + "1",
    "await tower": "x = " + "await " * 8_000 + "a",
    "nested blocks": "\n".join(" " * i + "if a:" for i in range(90)) + "\n" + " " * 90 + "pass",
    "hexadecimal megabyte": "x = 0x" + "f" * 60_000,
    "decimal megabyte": "x = " + "9" * 60_000,
    "string of strings": "x = " + '"a" ' * 15_500,
    "line continuations": "\\\n" * 30_000,
    "too large": "x = 1\n" * (MAX_SOURCE_BYTES // 6 + 1),
}


@pytest.mark.parametrize("source", [pytest.param(source, id=name) for name, source in HOSTILE.items()])
def test_a_hostile_program_is_refused_quickly(source: str) -> None:
    start = perf_counter()
    compiled = compile_plan(source, PlannerMode.PYTHON_DSL, ())
    assert compiled.plan is None
    assert compiled.problems
    assert perf_counter() - start < 5, "a refusal must not cost more than a plan"


@pytest.mark.parametrize("name", ["brackets", "unary tower", "mixed tower", "hexadecimal megabyte", "nested blocks"])
def test_what_would_recurse_is_refused_before_the_parser_sees_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object, **__: object) -> ast.AST:
        raise AssertionError("the parser was called")

    monkeypatch.setattr(ast, "parse", parse)
    compiled = compile_plan(HOSTILE[name], PlannerMode.PYTHON_DSL, ())
    assert [problem.code for problem in compiled.problems] == ["TOO_COMPLEX"]


@pytest.mark.parametrize("failure", [RecursionError(), MemoryError(), ValueError("null bytes"), OverflowError()])
def test_whatever_the_parser_raises_becomes_a_problem(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object, **__: object) -> ast.AST:
        raise failure

    monkeypatch.setattr(ast, "parse", parse)
    compiled = compile_plan("reply(1)", PlannerMode.PYTHON_DSL, ())
    assert [problem.code for problem in compiled.problems] == ["TOO_COMPLEX"]


@pytest.mark.parametrize(
    "source",
    [
        "[" * DEEP,
        '{"nodes":' * 2_000,
        '{"nodes": [], "body": [], "x": ' + "9" * 5_000 + "}",
        '{"nodes": [], "body": [], "x": 1e999}',
        '{"nodes": [], "body": [], "x": NaN}',
        '{"nodes": "' + "x" * 300_000 + '"}',
        "null",
        "[]",
        '{"nodes": [{"id": "n1", "kind": "reply", "expr": "' + "(" * 500 + '"}], "body": ["n1"]}',
    ],
)
def test_hostile_json_is_refused(source: str) -> None:
    compiled = compile_plan(source, PlannerMode.STRUCTURED_JSON, ())
    assert compiled.plan is None
    assert compiled.problems


def test_brackets_and_dashes_inside_strings_are_no_depth() -> None:
    text = '"' + "(" * 500 + "-" * 500 + '"'
    assert parseable(f"reply({text})") is None
    assert compile_plan(f"reply({text})", PlannerMode.PYTHON_DSL, ()).problems == ()


def test_a_program_at_the_edge_of_the_bounds_compiles() -> None:
    nested = "reply(" + "[" * 30 + "1" + "]" * 30 + ")"
    assert compile_plan(nested, PlannerMode.PYTHON_DSL, ()).problems == ()
    elifs = "x = 1\nif x == 0:\n    y = 0\n" + "".join(f"elif x == {i}:\n    y = {i}\n" for i in range(1, 60))
    assert compile_plan(f"{elifs}else:\n    y = -1\nreply(y)", PlannerMode.PYTHON_DSL, ()).problems == ()


def chained(elifs: int) -> str:
    tests = "".join(f"elif x == {i}:\n    y = {i}\n" for i in range(elifs))
    return f"x = 1\nif x == 0:\n    y = 0\n{tests}else:\n    y = 2\nreply(y)"


def nested(blocks: int) -> str:
    heads = "".join(f"{'    ' * depth}if x:\n" for depth in range(blocks))
    return f"x = 1\n{heads}{'    ' * blocks}y = 2\nreply(x)"


@pytest.mark.parametrize("source", [chained(MAX_CHAINED_IFS), nested(MAX_BLOCK_DEPTH)], ids=["elifs", "blocks"])
def test_the_largest_nesting_of_one_spelling_is_read_in_the_other(source: str) -> None:
    plan = compile_plan(source, PlannerMode.PYTHON_DSL, ()).plan
    assert plan is not None
    assert compile_plan(render_json(plan), PlannerMode.STRUCTURED_JSON, ()).plan == plan


def test_more_elifs_than_the_limit_are_refused_in_both_spellings() -> None:
    problems = Problems()
    plan = parse_dsl(chained(MAX_CHAINED_IFS + 1), problems)
    assert plan is not None
    assert not len(problems)
    for source, mode in (
        (render_dsl(plan), PlannerMode.PYTHON_DSL),
        (render_json(plan), PlannerMode.STRUCTURED_JSON),
    ):
        found = compile_plan(source, mode, ()).problems
        assert any(each.code == "TOO_COMPLEX" and "elifs" in each.message for each in found)


def test_the_places_in_a_json_expression_of_many_lines_cost_no_more_than_its_length() -> None:
    expr = "[\n" + ",\n".join(["unknown"] * 3_900) + "]"
    node = {"id": "n1", "kind": "reply", "expr": expr}
    source = json.dumps({"slots": [], "nodes": [node], "body": ["n1"]})
    start = perf_counter()
    problems = compile_plan(source, PlannerMode.STRUCTURED_JSON, ()).problems
    assert perf_counter() - start < 2
    second = problems[1]
    assert second.column is not None
    assert source[second.column - 1 :].startswith("unknown,")
