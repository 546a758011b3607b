"""Whether a plan may run: names, ends of paths, bounds, secrets, tools and their parameters. All problems at once."""

from collections.abc import Collection, Sequence

from models.planning import PlanProblem
from models.plans import Call, Fail, For, If, Plan, Reply
from models.tools import Tool
from planvault.plan.arguments import check_calls
from planvault.plan.flow import Body, all_nodes, terminates
from planvault.plan.limits import MAX_CHAINED_IFS, MAX_LOOP_DEPTH, MAX_PLAN_NODES, MAX_SLOTS
from planvault.plan.literals import check_literals
from planvault.plan.problems import Problems
from planvault.plan.resolve import resolve
from planvault.plan.secret_rules import check_secrets


def validate(plan: Plan, tools: Sequence[Tool], secret_names: Collection[str] = ()) -> list[PlanProblem]:
    """Every problem of a plan over exactly these tools and secrets, in source order; empty when it may run."""
    problems = Problems()
    by_name = {tool.name: tool for tool in tools}
    resolve(plan, problems, by_name)
    check_ends(plan, problems)
    check_bounds(plan, problems)
    check_literals(plan, problems)
    check_secrets(plan, frozenset(secret_names), problems)
    check_calls(plan, by_name, problems)
    return list(problems.in_source_order())


def check_ends(plan: Plan, problems: Problems) -> None:
    """Every path ends in exactly one reply or fail, and nothing stands behind it."""
    if not plan.body:
        problems.add("EMPTY_PLAN", "The plan does nothing.", None, "End it with reply(…).")
        return
    _check_reachable(plan.body, problems)
    if not terminates(plan.body):
        last = plan.body[-1]
        hint = "End it with reply(…) or fail(…)."
        if isinstance(last, If):
            hint = "End both branches of the last if, or add reply(…) behind it."
        elif isinstance(last, For):
            hint = "A loop may run no time at all: add reply(…) or fail(…) behind it."
        problems.add("MISSING_TERMINAL", "A path through the plan ends without reply or fail.", last.loc, hint)


def _check_reachable(body: Body, problems: Problems) -> None:
    """Recursion is bounded by the block depth that the parsers allow."""
    for position, node in enumerate(body):
        if isinstance(node, If):
            _check_reachable(node.then, problems)
            _check_reachable(node.orelse, problems)
        elif isinstance(node, For):
            _check_reachable(node.body, problems)
        if position + 1 < len(body) and terminates((node,)):
            what = node.kind if isinstance(node, (Reply, Fail)) else "if, which ends on every path"
            message = f"Nothing behind this point runs: it follows a {what}."
            problems.add("UNREACHABLE", message, body[position + 1].loc, "Remove it, or move it up.")
            return


def check_bounds(plan: Plan, problems: Problems) -> None:
    nodes = list(all_nodes(plan.body))
    if len(nodes) > MAX_PLAN_NODES:
        problems.add(
            "TOO_LARGE", f"A plan has at most {MAX_PLAN_NODES} nodes.", nodes[MAX_PLAN_NODES].loc, "Use loops."
        )
    if len(plan.slots) > MAX_SLOTS:
        problems.add("TOO_LARGE", f"A plan has at most {MAX_SLOTS} slots.", plan.slots[MAX_SLOTS].loc, "Ask for less.")
    if len({node.id for node in nodes}) != len(nodes):
        problems.add("DUPLICATE_ID", "Two nodes have the same id.")
    _check_loops(plan.body, 0, problems)
    _check_chains(plan.body, 0, problems)


def _check_loops(body: Body, depth: int, problems: Problems) -> None:
    for node in body:
        if isinstance(node, For):
            if depth >= MAX_LOOP_DEPTH:
                problems.add("TOO_COMPLEX", f"Loops nest at most {MAX_LOOP_DEPTH} deep.", node.loc, "Use pluck.")
                continue
            _check_loops(node.body, depth + 1, problems)
        elif isinstance(node, If):
            _check_loops(node.then, depth, problems)
            _check_loops(node.orelse, depth, problems)


def _check_chains(body: Body, chained: int, problems: Problems) -> None:
    """`chained`: the elifs that lead here. Recursion is bounded by the parsers and by this bound."""
    for node in body:
        if isinstance(node, For):
            _check_chains(node.body, chained, problems)
        elif isinstance(node, If):
            more = chained + (len(node.orelse) == 1 and isinstance(node.orelse[0], If))
            if more > MAX_CHAINED_IFS:
                message = f"At most {MAX_CHAINED_IFS} elifs follow each other."
                problems.add("TOO_COMPLEX", message, node.loc, "Look the value up in an object with get_field.")
                continue
            _check_chains(node.then, chained, problems)
            _check_chains(node.orelse, more, problems)


def tools_used(plan: Plan) -> frozenset[str]:
    """Names of the tools that a plan can call."""
    return frozenset(node.tool for node in all_nodes(plan.body) if isinstance(node, Call))
