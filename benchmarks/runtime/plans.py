"""The workload: one plan that calls one tool `steps` times, each result bound, then replies."""

from models.ids import IntegrationId, OrgId, ToolId
from models.planning import Candidate, PlanOutcome, PlanRequest, Selection, SelectionTier
from models.plans import Arg, Call, For, Func, Lit, Plan, PlannerMode, Reply, Var
from models.tenants import ProjectScope
from models.tools import HttpBinding, Idempotency, NativeBinding, ParamLocation, Tool, ToolParam
from planvault.ports import Ids

NATIVE, HTTP = "noop", "ping"


def tool(ids: Ids, org_id: OrgId, integration_id: IntegrationId, name: str) -> Tool:
    """`noop` runs in the host; `ping` is one GET to a loopback server."""
    query = ToolParam(name="value", location=ParamLocation.QUERY, wire_name="value")
    body = ToolParam(name="value", location=ParamLocation.BODY, body_path=("value",))
    return Tool(
        id=ToolId(ids.new()),
        org_id=org_id,
        integration_id=integration_id,
        name=name,
        group="benchmark",
        params=(body if name == NATIVE else query,),
        binding=NativeBinding(function="noop") if name == NATIVE else HttpBinding(method="GET", path="/ping"),
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


class FixedSelector:
    def __init__(self, tools: tuple[Tool, ...]) -> None:
        self._found = tuple(
            Candidate(tool_id=tool.id, version=tool.version, name=tool.name, group=tool.group, score=1.0)
            for tool in tools
        )

    async def select(self, scope: ProjectScope, query: str, max_tools: int) -> Selection:
        return Selection(tier=SelectionTier.DIRECT, catalog_size=len(self._found), shortlist=self._found)
