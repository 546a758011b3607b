"""Any prompt over any shortlist: a valid plan or problems, never an exception, never a write without a verb."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from models.base import JsonObject
from models.ids import IntegrationId, OrgId, ToolId
from models.planning import PlanRequest
from models.plans import PlannerMode
from models.tools import HttpBinding, OutputField, ParamLocation, RiskClass, Tool, ToolParam
from planvault.plan.compile import compile_plan
from planvault.planner.builtin.planner import plan_without_model

NOW = datetime(2026, 5, 1, tzinfo=UTC)
_VOCABULARY = """order orders customer id name email status list get create delete cancel each every and then the of
for with if not second 42 ORD-7 ada@example.com 'Hello' "x" Ada Lovelace 2026-02-30 today {{secrets.KEY}}
key=value #1 , . ? ;
4, 5 6 saying named é 日本 \\ ${x} https://e.org/a it them"""
_WORDS = st.sampled_from([*_VOCABULARY.split(), "\n"])
PROMPTS = st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=25).map(" ".join))
_PARAMS = "id order_id customerId name email status limit q ids when body X-Key api_key"
_NAMES = st.sampled_from(_PARAMS.split())
_SCHEMAS: st.SearchStrategy[JsonObject] = st.sampled_from(
    [
        {}, {"type": "string"}, {"type": "integer", "minimum": 3}, {"type": "number"}, {"type": "boolean"},
        {"type": "array", "items": {"type": "string"}}, {"type": "array"}, {"type": "object"},
        {"type": "string", "enum": ["open", "closed"]}, {"type": "string", "enum": [1, 2]}, {"enum": [1, "a", None]},
        {"type": "string", "format": "date"}, {"type": "string", "format": "email"}, {"type": ["string", "null"]},
        {"type": "array", "items": {"type": "string", "enum": ["a", "order"]}}, {"type": "string", "default": 5},
        {"type": "string", "minLength": 3, "maxLength": 4}, {"type": "string", "pattern": "^x$"},
    ]
)  # fmt: skip
_PARTS = st.sampled_from(["id", "items", "*", "order_id", "name", "results", "email", "total"])


@st.composite
def tools(draw: st.DrawFn) -> tuple[Tool, ...]:
    made: list[Tool] = []
    for number in range(draw(st.integers(0, 6))):
        names = draw(st.lists(_NAMES, max_size=4, unique=True))
        resource = draw(st.sampled_from(["orders", "customers", "search", "me", "x", "{id}"]))
        method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
        verb = draw(st.sampled_from(["get", "list", "create", "cancel", "é", "t"]))
        made.append(
            Tool(
                id=ToolId(UUID(int=number)),
                org_id=OrgId(UUID(int=0)),
                integration_id=IntegrationId(UUID(int=0)),
                name=f"{verb}.{number}" if draw(st.booleans()) else f"{verb}_{number}",
                group="g",
                summary=draw(st.sampled_from(["", "Get an order", "Delete a customer", "x" * 300])),
                params=tuple(
                    ToolParam(
                        name=name,
                        location=ParamLocation.QUERY,
                        wire_name=name,
                        schema=draw(_SCHEMAS),
                        required=draw(st.booleans()),
                    )
                    for name in names
                ),
                outputs=tuple(
                    OutputField(path=tuple(path), type=draw(st.sampled_from(["any", "string", "integer", "array"])))
                    for path in draw(st.lists(st.lists(_PARTS, min_size=1, max_size=4), max_size=5))
                ),
                binding=HttpBinding(
                    method=method, path=f"/{resource}/{{id}}" if draw(st.booleans()) else f"/{resource}"
                ),
                risk=RiskClass.READ if method == "GET" else RiskClass.WRITE,
            )
        )
    return tuple(made)


@settings(max_examples=300, deadline=None)
@given(prompt=PROMPTS, shortlist=tools(), mode=st.sampled_from(PlannerMode))
def test_any_prompt_over_any_tools_gives_a_plan_that_compiles_again_or_problems(
    prompt: str, shortlist: tuple[Tool, ...], mode: PlannerMode
) -> None:
    outcome = plan_without_model(
        PlanRequest(prompt=prompt, tools=shortlist, secret_names=("KEY",), run_started_at=NOW, mode=mode)
    )
    if outcome.plan is None:
        assert outcome.problems
        return
    again = compile_plan(outcome.source, mode, shortlist, secret_names=("KEY",))
    assert again.plan == outcome.plan, again.problems
