"""A secret is a handle from the plan's text to the tool executor, and nothing in between opens it."""

import pytest

from models.plans import Arg, Call, Expr, Lit, Plan, PlannerMode, Reply, SecretRef, Text, Var
from models.values import SecretHandle, SecretText, Value
from planvault.plan.compile import compile_plan
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate, evaluate_condition, evaluate_items
from planvault.plan.render import render_dsl, render_json
from planvault.plan.validate import validate
from tests.unit.plan.shop_tools import tool

MAIL = tool("send(body: string, meta?: object)")
SECRET = SecretText((SecretHandle("KEY"),))
OPERATIONS = """\
s + 'x'
'x' + s
-s
s * 2
s == 'x'
s != s
s < 'x'
s in ['x']
'x' in s
s in s
not s
s and True
False or s
s.field
s[0]
[1, 2][s]
{'a': 1}[s]
len(s)
lower(s)
str(s)
to_json([s])
contains(s, 'a')
slice(s, 0, 1)
split(s, '.')
replace('a', 'a', s)
join([s], ',')
unique([s])
sort([s])
sum([s])
min([s, s])
int(s)
bool(s)
type_of(s)
pluck([{'a': s}], 'a')
[s] == [s]
{'a': s} == {'a': 1}
filter_by([s], 'a', 1)
parse_json(s)
get_field({'a': 1}, s)
f"{[s]}"
"""


def argument(text: str) -> Expr:
    compiled = compile_plan(
        f"who = 'bob'\nsend(body={text})\nreply(1)", PlannerMode.PYTHON_DSL, [MAIL], secret_names=["KEY"]
    )
    assert compiled.plan is not None, compiled.problems
    call = compiled.plan.body[1]
    assert isinstance(call, Call)
    return call.args[0].expr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"{{secrets.KEY}}"', SECRET),
        ('"{{ secrets.KEY }}"', SECRET),
        ('f"{{secrets.KEY}}"', SECRET),
        ('f"{{{{secrets.KEY}}}}"', SECRET),
        ('"Bearer {{secrets.KEY}}"', SecretText(("Bearer ", SecretHandle("KEY")))),
        ('f"Bearer {{secrets.KEY}} {who}"', SecretText(("Bearer ", SecretHandle("KEY"), " bob"))),
        ('f"{who}:{{{{secrets.KEY}}}}"', SecretText(("bob:", SecretHandle("KEY")))),
        ('"{{secrets.KEY}}{{secrets.KEY}}"', SecretText((SecretHandle("KEY"), SecretHandle("KEY")))),
        ('"{{sec" "rets.KEY}}"', SECRET),
        ('"{secrets.KEY}"', "{secrets.KEY}"),
        ('"{{secrets}}"', "{{secrets}}"),
    ],
)
def test_a_handle_is_read_from_any_string_that_spells_it(text: str, expected: Value) -> None:
    assert evaluate(argument(text), {"who": "bob"}, Budget()) == expected


@pytest.mark.parametrize(
    "text", ['f"{who}{{secrets.KEY}}}}"', 'concat("{", "{{secrets.KEY}}", who)', 'f"{who}{{{{{{secrets.KEY}}"']
)
def test_braces_beside_a_handle_come_back_from_both_spellings(text: str) -> None:
    source = f"who = 1\nsend(body={text})\nreply(1)"
    plan = compile_plan(source, PlannerMode.PYTHON_DSL, [MAIL], secret_names=["KEY"]).plan
    assert plan is not None
    assert compile_plan(render_dsl(plan), PlannerMode.PYTHON_DSL, [MAIL], secret_names=["KEY"]).plan == plan
    assert compile_plan(render_json(plan), PlannerMode.STRUCTURED_JSON, [MAIL], secret_names=["KEY"]).plan == plan


def test_tool_output_that_spells_a_handle_stays_plain_text() -> None:
    scope: dict[str, Value] = {"result": {"note": "{{secrets.KEY}}"}}
    assert evaluate(Var(name="result"), scope, Budget()) == {"note": "{{secrets.KEY}}"}
    joined = evaluate(Text(parts=(Lit(value="n: "), Var(name="n"))), {"n": "{{secrets.KEY}}"}, Budget())
    assert joined == "n: {{secrets.KEY}}"


@pytest.mark.parametrize("text", OPERATIONS.splitlines())
def test_every_operation_on_a_secret_but_joining_and_passing_on_fails(text: str) -> None:
    source = f"s = 1\nreply({text})"
    plan = compile_plan(source, PlannerMode.PYTHON_DSL, ()).plan
    assert plan is not None
    answer = plan.body[1]
    assert isinstance(answer, Reply)
    with pytest.raises(EvaluationFailed) as failed:
        evaluate(answer.expr, {"s": SECRET}, Budget())
    assert failed.value.code in {"SECRET_OPERATION", "BAD_PATH"}
    assert "KEY" not in failed.value.message


def test_a_secret_decides_no_condition_and_feeds_no_loop() -> None:
    for question in (evaluate_condition, evaluate_items):
        with pytest.raises(EvaluationFailed, match="secret"):
            question(SecretRef(name="KEY"), {}, Budget())


def test_a_handle_in_a_literal_that_no_parser_made_is_refused() -> None:
    plan = Plan(
        body=(
            Call(id="n1", tool="send", args=(Arg(name="body", expr=Lit(value="{{secrets.KEY}}")),)),
            Reply(id="n2", expr=Lit(value=1)),
        )
    )
    assert [problem.code for problem in validate(plan, [MAIL], ["KEY"])] == ["BAD_LITERAL"]


def test_a_secret_may_lie_inside_an_object_that_is_passed() -> None:
    source = 'send(body="x", meta={"auth": ["{{secrets.KEY}}"]})\nreply(1)'
    assert compile_plan(source, PlannerMode.PYTHON_DSL, [MAIL], secret_names=["KEY"]).problems == ()
