"""Both spellings say the same, and rendering is stable."""

import json

import jsonschema
from hypothesis import given, settings

from models.plans import Expr, Plan
from planvault.plan.dsl import parse_dsl
from planvault.plan.expressions import Expressions
from planvault.plan.hashing import plan_hash
from planvault.plan.json import parse_json
from planvault.plan.problems import Problems
from planvault.plan.render import render_dsl, render_expr, render_json
from planvault.plan.schema import wire_schema
from planvault.plan.source import Program
from planvault.plan.syntax import parse_expression
from tests.property.plans import EXPRESSIONS, PLANS

SCHEMA = jsonschema.Draft202012Validator(wire_schema())


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_an_expression_comes_back_from_its_text(expr: Expr) -> None:
    problems = Problems()
    text = render_expr(expr)
    program = Program((text,))
    tree = parse_expression(program, problems)
    assert tree is not None, (text, problems.in_source_order())
    again = Expressions(problems, program.locate).convert(tree)
    assert len(problems) == 0, (text, problems.in_source_order())
    assert again.model_dump_json() == expr.model_dump_json()
    assert render_expr(again) == text


@settings(max_examples=150, deadline=None)
@given(PLANS)
def test_a_plan_comes_back_from_both_spellings(plan: Plan) -> None:
    problems = Problems()
    program, wire = render_dsl(plan), render_json(plan)
    from_program, from_wire = parse_dsl(program, problems), parse_json(wire, problems)
    assert len(problems) == 0, (program, problems.in_source_order())
    assert from_program is not None
    assert from_wire is not None
    assert from_program.model_dump_json() == from_wire.model_dump_json() == plan.model_dump_json()
    assert (render_dsl(from_wire), render_json(from_program)) == (program, wire)
    assert plan_hash(from_program) == plan_hash(from_wire) == plan_hash(plan)


@settings(max_examples=50, deadline=None)
@given(PLANS)
def test_a_plan_survives_prose_tags_and_fences_around_it(plan: Plan) -> None:
    answer = f"First I look <here>.\n\n<script>\n```python\n{render_dsl(plan)}\n```\n</script>\nThat is all."
    problems = Problems()
    found = parse_dsl(answer, problems)
    assert len(problems) == 0, (answer, problems.in_source_order())
    assert found is not None
    assert found.model_dump_json() == plan.model_dump_json()


@settings(max_examples=50, deadline=None)
@given(PLANS)
def test_every_rendered_plan_fits_the_wire_schema(plan: Plan) -> None:
    SCHEMA.validate(json.loads(render_json(plan)))
