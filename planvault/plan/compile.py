"""Text of a planner → a checked plan, or every problem that stands in its way."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.planning import PlanProblem
from models.plans import Plan, PlannerMode
from models.tools import Tool
from planvault.plan.dsl import parse_dsl
from planvault.plan.json import parse_json
from planvault.plan.problems import Problems
from planvault.plan.validate import validate


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan without problems, or problems without a plan."""

    plan: Plan | None
    problems: tuple[PlanProblem, ...] = ()


def compile_plan(
    source: str, mode: PlannerMode, tools: Sequence[Tool], *, secret_names: Collection[str] = ()
) -> Compiled:
    """Parse, resolve and validate a planner's whole answer, prose around the plan included.

    Never raises for any text. Problems come in source order, from all stages: an expression that cannot be read does
    not keep the rest from being checked.
    """
    problems = Problems()
    parse = parse_dsl if mode is PlannerMode.PYTHON_DSL else parse_json
    plan = parse(source, problems)
    if plan is not None:
        problems.extend(validate(plan, tools, secret_names))
    return Compiled(None, problems.in_source_order()) if plan is None or len(problems) else Compiled(plan)
