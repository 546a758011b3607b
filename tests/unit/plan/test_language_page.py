"""docs/plan-language.md says nothing that is not so: its examples are executed."""

import json

import pytest

from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate
from planvault.plan.expressions import Expressions
from planvault.plan.functions import FUNCTIONS
from planvault.plan.json import parse_json
from planvault.plan.problems import Problems
from planvault.plan.render import render_dsl, render_json
from planvault.plan.source import Program
from planvault.plan.syntax import parse_expression
from tests.unit.plan.page import PAGE, Block, blocks
from tests.unit.plan.shop_tools import SECRETS, tools

TOOLS = tools(blocks("tools")[0].text)
DSL, JSON = PlannerMode.PYTHON_DSL, PlannerMode.STRUCTURED_JSON


def named(kind: str) -> list[pytest.param]:
    return [pytest.param(block, id=block.name) for block in blocks(kind)]


@pytest.mark.parametrize("block", named("plan"))
def test_a_good_example_compiles_and_round_trips_through_both_spellings(block: Block) -> None:
    compiled = compile_plan(block.text, DSL, TOOLS, secret_names=SECRETS)
    assert compiled.problems == ()
    assert compiled.plan is not None
    text, wire = render_dsl(compiled.plan), render_json(compiled.plan)
    for source, mode in ((text, DSL), (wire, JSON)):
        again = compile_plan(source, mode, TOOLS, secret_names=SECRETS)
        assert again.problems == ()
        assert again.plan is not None
        assert again.plan.model_dump_json() == compiled.plan.model_dump_json()
        assert (render_dsl(again.plan), render_json(again.plan)) == (text, wire)


@pytest.mark.parametrize("block", named("plan-error"))
def test_a_bad_example_gives_exactly_the_problems_it_announces(block: Block) -> None:
    compiled = compile_plan(block.text, DSL, TOOLS, secret_names=SECRETS)
    assert compiled.plan is None
    expected = block.expected()
    assert expected
    found = [(problem.line, problem.code, problem.message) for problem in compiled.problems]
    assert sorted((line, code) for line, code, _ in found) == sorted((line, code) for line, code, _ in expected), found
    for line, code, part in expected:
        assert any(at == line and is_code == code and part in message for at, is_code, message in found), (part, found)


EVALUATIONS = [
    pytest.param(line, id=f"line {block.line + number}")
    for block in blocks("eval")
    for number, line in enumerate(block.text.splitlines())
]


@pytest.mark.parametrize("line", EVALUATIONS)
def test_an_expression_has_the_value_that_the_page_shows(line: str) -> None:
    source, _, expected = line.rpartition(" => ")
    problems = Problems()
    program = Program((source,))
    tree = parse_expression(program, problems)
    assert tree is not None, problems.in_source_order()
    expr = Expressions(problems, program.locate).convert(tree)
    assert len(problems) == 0, problems.in_source_order()
    if expected.startswith("! "):
        with pytest.raises(EvaluationFailed) as failed:
            evaluate(expr, {}, Budget())
        assert failed.value.code == expected[2:]
    else:
        assert json.dumps(evaluate(expr, {}, Budget())) == json.dumps(json.loads(expected))


def test_the_structured_example_is_the_same_plan_as_its_program() -> None:
    structured = compile_plan(blocks("plan-json")[0].text, JSON, TOOLS)
    program = compile_plan(blocks("plan-same")[0].text, DSL, TOOLS)
    assert structured.problems == program.problems == ()
    assert structured.plan is not None
    assert structured.plan == program.plan
    assert parse_json(render_json(structured.plan), Problems()) == structured.plan


def test_the_page_lists_every_standard_function_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.split("<!-- functions -->\n")[1].split("<!-- /functions -->")[0]
    rows = [f"| `{function.signature}` | {function.summary} |" for function in FUNCTIONS.values()]
    assert table == "\n".join(["| function | |", "|---|---|", *rows]) + "\n"
