"""The prompt files hold what they promise: their own examples run."""

import re
from importlib.resources import files

import pytest

from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.planner.context import functions_text
from planvault.planner.prompts import CURRENT, REPAIR, REQUEST, load_prompt
from tests.unit.planner.tools import tool

FIND = tool("find_customers", "GET", "/customers", "Find", {"query": "string"}, {"items.*.id": "integer"})
NOTE = tool("send_note", "POST", "/notes", "Send", {"customer_id": "integer", "text": "string"})


@pytest.mark.parametrize("mode", list(PlannerMode))
def test_the_example_of_each_mode_compiles(mode: PlannerMode) -> None:
    text = load_prompt(CURRENT[mode]).fill(functions=functions_text())
    example = text[text.index("Example, for tools") :]
    compiled = compile_plan(example, mode, (FIND, NOTE))
    assert compiled.plan is not None, compiled.problems


@pytest.mark.parametrize("version", [*CURRENT.values(), REQUEST, REPAIR])
def test_every_current_prompt_is_a_versioned_file(version: str) -> None:
    assert re.fullmatch(r"[a-z_]+\.v\d+", version)
    assert (files("planvault.planner.prompts") / f"{version}.md").is_file()


def test_a_missing_value_is_an_error_and_not_a_hole() -> None:
    with pytest.raises(KeyError):
        load_prompt(REPAIR).fill()


def test_every_standard_function_is_named() -> None:
    from planvault.plan.functions import FUNCTIONS

    assert all(function.signature in functions_text() for function in FUNCTIONS.values())
