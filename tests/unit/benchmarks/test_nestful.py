"""The plan language expresses every gold plan of NESTFUL. (Data of others: skipped where they are absent.)"""

import json
from pathlib import Path

import jsonschema
import pytest

from benchmarks.nestful import Converted, Report, arithmetic, declared_tools, measure, schema_of, template
from models.plans import PlannerMode
from models.tools import Tool
from planvault.plan.compile import compile_plan
from planvault.plan.render import render_dsl, render_expr, render_json
from planvault.plan.schema import wire_schema
from planvault.plan.validate import validate

Measured = tuple[Report, list[Converted], list[Tool]]


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> Measured:
    return measure(shared_data / "nestful")


@pytest.mark.parametrize("mode", list(PlannerMode))
def test_every_gold_plan_converts_validates_and_round_trips(measured: Measured, mode: PlannerMode) -> None:
    _, converted, tools = measured
    assert len(converted) == 290
    render = render_dsl if mode is PlannerMode.PYTHON_DSL else render_json
    for one in converted:
        assert validate(one.plan, tools) == [], one.query.id
        compiled = compile_plan(render(one.plan), mode, tools)
        assert compiled.problems == (), one.query.id
        assert compiled.plan is not None
        assert compiled.plan.model_dump_json() == one.plan.model_dump_json(), one.query.id
        assert render(compiled.plan) == render(one.plan)


def test_every_rendered_gold_plan_fits_the_strict_schema(measured: Measured) -> None:
    validator = jsonschema.Draft202012Validator(wire_schema())
    for one in measured[1]:
        validator.validate(json.loads(render_json(one.plan)))


def test_a_gold_plan_is_refused_over_the_declared_tools_exactly_where_the_data_contradict_themselves(
    measured: Measured, shared_data: Path
) -> None:
    report, converted, _ = measured
    tools = declared_tools(shared_data / "nestful")
    contradicts = {"undeclared_parameter", "missing_required", "type_mismatch"}
    for one in converted:
        expected = any(finding.kind in contradicts for finding in one.findings)
        assert bool(validate(one.plan, tools)) is expected, one.query.id
    assert report.valid_as_observed == report.plans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$var1$", "var1"),
        ("$var1.Exchange Rate$", 'var1["Exchange Rate"]'),
        ("$var2.author[0].id$", "var2.author[0].id"),
        ("5 * $var1.rate$", 'f"5 * {var1.rate}"'),
        ("$100-$200", '"$100-$200"'),
        ("var1.id$", '"var1.id$"'),
        ("", '""'),
    ],
)
def test_a_gold_text_becomes_a_reference_a_template_or_stays_text(text: str, expected: str) -> None:
    assert render_expr(template(text)) == expected


def test_arithmetic_on_a_numeric_parameter_is_calculated() -> None:
    calculated = arithmetic("5 * $var1.Exchange Rate$")
    assert calculated is not None
    assert render_expr(calculated) == '5 * var1["Exchange Rate"]'
    assert arithmetic("$var1.a$ - b") is None
    assert arithmetic("5") is None
    assert arithmetic("$var1.a$ - 2 * 3") is None


def test_an_unknown_type_word_is_refused_rather_than_guessed() -> None:
    assert schema_of("Date (yyyy-mm-dd)") == {"type": "string", "format": "date"}
    with pytest.raises(ValueError, match="no type 'tuple'"):
        schema_of("tuple")
