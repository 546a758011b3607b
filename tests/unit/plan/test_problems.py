"""Every problem at once, each at its place in the planner's answer, each with a way out."""

import json

import pytest

from models.planning import PlanProblem
from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.plan.problems import MAX_PROBLEMS, nearest
from tests.unit.plan.page import blocks
from tests.unit.plan.shop_tools import SECRETS, tools

TOOLS = tools(blocks("tools")[0].text)


def problems_of(source: str, mode: PlannerMode = PlannerMode.PYTHON_DSL) -> tuple[PlanProblem, ...]:
    compiled = compile_plan(source, mode, TOOLS, secret_names=SECRETS)
    assert (compiled.plan is None) == bool(compiled.problems)
    return compiled.problems


def the_problem(source: str) -> PlanProblem:
    (problem,) = problems_of(source)
    return problem


def wire(*nodes: object, body: list[str] | None = None) -> str:
    ids = [node["id"] for node in nodes if isinstance(node, dict) and "id" in node]
    return json.dumps({"slots": [], "nodes": nodes, "body": ids if body is None else body}, indent=1)


def reply(name: str = "n9", expr: object = "'done'") -> dict[str, object]:
    return {"id": name, "kind": "reply", "expr": expr}


def test_problems_of_all_stages_come_together_in_source_order() -> None:
    found = problems_of("x = [i for i in y]\nget_ordr(id=1)\nsend_email(to=1)\nreply(z)")
    assert [(p.line, p.code) for p in found] == [
        (1, "NOT_ALLOWED"),
        (2, "UNKNOWN_TOOL"),
        (3, "MISSING_PARAMETER"),
        (3, "TYPE_MISMATCH"),
        (4, "UNDEFINED_VARIABLE"),
    ]


def test_several_syntax_errors_are_found_in_one_go() -> None:
    found = problems_of("x = (1\ny = 2\nz = = 3\nreply(x)\nw = 'open\n")
    assert {p.code for p in found} == {"SYNTAX"}
    assert len({p.line for p in found}) >= 2


def test_positions_count_in_the_whole_answer() -> None:
    answer = "Here is my plan.\n\n<script>\n```python\n    order = get_order(id=7)\n    reply(ordr)\n```\n</script>\n"
    problem = the_problem(answer)
    assert (problem.line, problem.column) == (6, 11)
    assert answer.splitlines()[5][10:14] == "ordr"


def test_columns_count_characters_not_bytes() -> None:
    source = 'reply("žluťoučký 🐴" + nmae)'
    problem = the_problem(source)
    assert problem.column is not None
    assert source[problem.column - 1 :].startswith("nmae")


def test_a_program_on_the_line_of_its_tag_is_located_too() -> None:
    answer = "<script>reply(nmae)</script>"
    problem = the_problem(answer)
    assert problem.column is not None
    assert answer[problem.column - 1 :].startswith("nmae")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("order = 1\nreply(ordre)", "'order'"),
        ("get_ordr(id=1)\nreply(1)", "'get_order'"),
        ("get_order(ID=1, id=2)\nreply(1)", "'id'"),
        ("reply(lenn('a'))", "'len'"),
        ("x = len(value='a')\nreply(x)", "call('len', …)"),
        ("reply('a'.strip())", "trim(text)"),
        ("reply(get_order)", "result = get_order"),
        ("reply(get_order())", "result = get_order"),
        ("x = lenn('a')\nreply(x)", "function len()"),
        ("send_email(to='a@b.c', subject='{{secrets.MAIL_KAY}}')\nreply(1)", "'MAIL_KEY'"),
        ("refund(order_id=1, amount=2, reason=None)\nreply(1)", "Leave the parameter out"),
        ("get_order(id=1)", "reply(…)"),
        ("return 1", "reply(text)"),
        ("reply(f'{1:>9}')", "round"),
        ("for x in [1]:\n    x = 2\nreply(1)", "new name"),
        ("sum = 1\nreply(1)", "'sum_value'"),
    ],
)
def test_a_problem_tells_the_way_out(source: str, hint: str) -> None:
    assert any(hint in problem.hint for problem in problems_of(source)), problems_of(source)


def test_an_unreadable_expression_does_not_make_its_variable_undefined() -> None:
    assert [p.code for p in problems_of("x = a.b()\nreply(x)")] == ["NO_METHODS"]
    assert [p.code for p in problems_of("x = (lambda: 1)\nget_order(id=x)\nreply(x)")] == ["NOT_ALLOWED"]


def test_problems_are_bounded_in_number() -> None:
    assert len(problems_of("\n".join(f"x{i} = y{i}" for i in range(3 * MAX_PROBLEMS)))) == MAX_PROBLEMS


def test_the_nearest_name_ignores_case_first() -> None:
    assert nearest("orderID", ["ordersId", "orderId"]) == "orderId"
    assert nearest("zzz", ["orderId"]) is None


# ── the structured spelling ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        (wire(reply(), reply()), {"DUPLICATE_ID", "NODE_TWICE"}),
        (wire(reply(), body=["n9", "n8"]), {"UNKNOWN_NODE"}),
        (wire(reply(), reply("n8"), body=["n9"]), {"UNPLACED_NODE"}),
        (wire({**reply(), "kind": "answer"}), {"UNKNOWN_KIND"}),
        (wire({**reply(), "target": "x"}), {"UNKNOWN_FIELD"}),
        (wire({"id": "n1", "kind": "reply"}), {"WRONG_SHAPE"}),
        (wire("n1", reply()), {"WRONG_SHAPE"}),
        (wire({"id": "n1", "kind": "if", "expr": "True", "then": ["n1"]}, reply()), {"NODE_TWICE"}),
        (wire({"id": "n1", "kind": "call", "tool": "get_order"}, reply()), {"MISSING_PARAMETER"}),
        (wire({"id": "n1", "kind": "assignment", "target": "x", "expr": None}, reply()), {"WRONG_SHAPE"}),
        (wire({"id": "n1", "kind": "assignment", "target": "x", "expr": "New York"}, reply()), {"SYNTAX"}),
        ('{"nodes": [], "nodes": [], "body": []}', {"DUPLICATE_KEY", "EMPTY_PLAN"}),
        ('{"nodes": {}, "body": []}', {"WRONG_SHAPE"}),
        ("I cannot do that.", {"SYNTAX"}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_structure_is_said(source: str, codes: set[str]) -> None:
    assert {problem.code for problem in problems_of(source, PlannerMode.STRUCTURED_JSON)} == codes


def test_a_problem_in_an_expression_is_located_inside_its_json_string() -> None:
    source = "Plan:\n" + wire(reply(expr='f"Order \\u00e9 {nmae}" + "\\n"'))
    (problem,) = problems_of(source, PlannerMode.STRUCTURED_JSON)
    assert problem.code == "UNDEFINED_VARIABLE"
    assert problem.line is not None
    assert problem.column is not None
    line = source.splitlines()[problem.line - 1]
    assert '"expr"' in line
    # Python 3.11 locates what stands in an f-string roughly: somewhere in the string is what can be promised.
    assert line.index("Order") - 4 <= problem.column - 1 < len(line)


def test_a_problem_behind_escapes_is_located_exactly() -> None:
    source = wire(reply(expr='"quote \\" \\\\ end" + nmae'))
    (problem,) = problems_of(source, PlannerMode.STRUCTURED_JSON)
    assert problem.line is not None
    assert problem.column is not None
    assert source.splitlines()[problem.line - 1][problem.column - 1 :].startswith("nmae")


def test_numbers_booleans_and_absent_nullable_fields_are_tolerated() -> None:
    source = wire(
        {"id": "a", "kind": "call", "tool": "get_order", "args": [{"name": "id", "expr": 7}]}, reply(expr=True)
    )
    assert problems_of(source, PlannerMode.STRUCTURED_JSON) == ()
    assert problems_of(f"```json\n{source}\n```", PlannerMode.STRUCTURED_JSON) == ()
