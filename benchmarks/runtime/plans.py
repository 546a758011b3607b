"""The workloads as plans, named by their prompts: planning is not what is measured here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.planning import PlanOutcome, PlanRequest
from models.plans import Arg, Assignment, Call, Expr, For, Func, Lit, Plan, PlannerMode, PlanNode, Reply, Var


def chain(tool: str, steps: int) -> Plan:
    """Steps that each need the one before: `last = tool(value=last)`."""
    return _looped(tool, steps, Arg(name="value", expr=Var(name="last")))


def repeat(tool: str, steps: int) -> Plan:
    """Steps that need nothing of each other, one after the other."""
    return _looped(tool, steps, Arg(name="value", expr=Var(name="i")))


def _looped(tool: str, steps: int, argument: Arg) -> Plan:
    call = Call(id="n2", target="last", tool=tool, args=(argument,))
    count = Func(name="range", args=(Lit(value=steps),))
    loop = For(id="n1", variable="i", iterable=count, body=(call,))
    return Plan(body=(Assignment(id="n0", target="last", expr=Lit(value=0)), loop, _reply(Lit(value="done"))))


def apart(tool: str, calls: int) -> Plan:
    """So many calls that need nothing of each other, then a reply that needs them all."""
    nodes: list[PlanNode] = [
        Call(id=f"n{number}", target=f"v{number}", tool=tool, args=(Arg(name="value", expr=Lit(value=number)),))
        for number in range(calls)
    ]
    together = Func(name="len", args=(Var(name=f"v{calls - 1}"),))
    return Plan(body=(*nodes, _reply(together)))


def nap(tool: str, seconds: int) -> Plan:
    """One pause, which is the engine's own."""
    call = Call(id="n0", target="slept", tool=tool, args=(Arg(name="seconds", expr=Lit(value=seconds)),))
    return Plan(body=(call, _reply(Lit(value="woken"))))


def _reply(expr: Expr) -> Reply:
    return Reply(id="end", expr=expr)


SHAPES: Mapping[str, Callable[[str, int], Plan]] = {"chain": chain, "repeat": repeat, "apart": apart, "nap": nap}


class FixedPlanner:
    """Reads `SHAPE TOOL COUNT` from the prompt."""

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        shape, tool, count = request.prompt.split()
        plan = SHAPES[shape](tool, int(count))
        return PlanOutcome(plan=plan, planner="benchmark", mode=PlannerMode.STRUCTURED_JSON)
