"""The workload: one plan that calls one tool `steps` times, each result bound, then replies."""

from models.ids import IntegrationId, OrgId, ToolId
from models.planning import PlanOutcome, PlanRequest
from models.plans import Arg, Call, For, Func, Lit, Plan, PlannerMode, Reply, Var
from models.tools import HttpBinding, Idempotency, ParamLocation, Tool, ToolParam
from planvault.ports import Ids

NATIVE, HTTP = "noop", "ping"  # the platform's own no-op; one GET to a loopback server


def ping(ids: Ids, org_id: OrgId, integration_id: IntegrationId) -> Tool:
    """One GET to a loopback server."""
    return Tool(
        id=ToolId(ids.new()),
        org_id=org_id,
        integration_id=integration_id,
        name=HTTP,
        group="benchmark",
        params=(ToolParam(name="value", location=ParamLocation.QUERY, wire_name="value"),),
        binding=HttpBinding(method="GET", path="/ping"),
        idempotency=Idempotency.SAFE,
    )


def steps_of(tool_name: str, steps: int) -> Plan:
    call = Call(id="n2", target="last", tool=tool_name, args=(Arg(name="value", expr=Var(name="i")),))
    count = Func(name="range", args=(Lit(value=steps),))
    loop = For(id="n1", variable="i", iterable=count, body=(call,))
    return Plan(body=(loop, Reply(id="n3", expr=Lit(value="done"))))


class FixedPlanner:
    """Reads `TOOL STEPS` from the prompt: planning is not what is measured."""

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        name, steps = request.prompt.split()
        plan = steps_of(name, int(steps))
        return PlanOutcome(plan=plan, planner="benchmark", mode=PlannerMode.STRUCTURED_JSON)
