"""`schedule_execution` at its edges; what it does with a real schedule stands in tests/integration/scheduling."""

from collections.abc import Mapping

import pytest

from models.ids import IntegrationId, JobId, OrgId, ProjectId, SessionId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tenants import SessionScope
from models.tools import Idempotency, IntegrationState, NativeBinding, RiskClass, Tool, ToolFailed, ToolOutcome
from models.values import SecretHandle, SecretText, Value
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.ports import CallTarget, Scheduled, ScheduleOrder, Scheduling, ToolCall
from planvault.tools.native import NATIVE_TOOLS, NativeExecutor
from planvault.tools.scheduling import MAX_CONTEXT, NAME

IDS = TimeOrderedIds()
SCOPE = SessionScope(org_id=OrgId(IDS.new()), project_id=ProjectId(IDS.new()), session_id=SessionId(IDS.new()))


class Desk:
    """A schedule that takes every order."""

    def __init__(self) -> None:
        self.orders: list[ScheduleOrder] = []

    async def schedule(self, scope: SessionScope, order: ScheduleOrder) -> Scheduled:
        self.orders.append(order)
        return Scheduled(JobId(IDS.new()), SystemClock().now())


async def secret(name: str) -> str:
    return f"value of {name}"


async def run(
    args: Mapping[str, Value], *, scheduling: Scheduling | None, scope: SessionScope | None = SCOPE
) -> ToolOutcome:
    tool = Tool(
        id=ToolId(IDS.new()),
        org_id=SCOPE.org_id,
        integration_id=IntegrationId(IDS.new()),
        name=NAME,
        group="native",
        binding=NativeBinding(function=NAME),
    )
    target = CallTarget("", IntegrationState(), EgressPolicy())
    call = ToolCall(tool, args, target, "the-step", 1, RunLimits(), secret, scope=scope, asked_by="ada")
    return await NativeExecutor(SystemClock(), scheduling).execute(call)


async def test_an_order_carries_the_steps_key_who_asked_and_the_named_secrets() -> None:
    desk = Desk()
    outcome = await run({"prompt": "x", "delaySeconds": 5, "secretNames": ["TOKEN"]}, scheduling=desk)
    assert outcome.ok
    [order] = desk.orders
    assert (order.key, order.asked_by, order.delay_s) == ("the-step", "ada", 5.0)
    assert order.secrets == {"TOKEN": "value of TOKEN"}


@pytest.mark.parametrize("name", ["prompt", "contextVars", "name"])
async def test_no_argument_takes_a_secret_since_a_model_will_read_it(name: str) -> None:
    desk, handle = Desk(), SecretText((SecretHandle("TOKEN"),))
    value: Value = {"deep": [handle]} if name == "contextVars" else handle
    outcome = await run({"prompt": "x", "delaySeconds": 5, name: value}, scheduling=desk)
    assert isinstance(outcome, ToolFailed)
    assert (outcome.code, desk.orders) == ("SECRET_NOT_ALLOWED", [])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "prompt must say something"),
        ({"prompt": "x", "delaySeconds": None}, "give exactly one of delaySeconds and runAt"),
        ({"prompt": "x", "delaySeconds": 1, "runAt": "2027-01-01T00:00:00Z"}, "give exactly one of delaySeconds"),
        ({"prompt": " "}, "prompt must say something"),
        ({"prompt": 7}, "prompt is a text"),
        ({"prompt": "a\x00b"}, "prompt is a text"),
        ({"prompt": "x", "delaySeconds": True}, "delaySeconds is a number"),
        ({"prompt": "x", "contextVars": []}, "contextVars is an object"),
        ({"prompt": "x", "contextVars": {"a": "x" * MAX_CONTEXT}}, "contextVars is an object"),
        ({"prompt": "x", "secretNames": "TOKEN"}, "secretNames is a list"),
        ({"prompt": "x", "secretNames": [7]}, "secretNames is a list"),
    ],
)
async def test_what_cannot_be_an_order_is_rejected(args: dict[str, Value], says: str) -> None:
    desk = Desk()
    outcome = await run({"delaySeconds": 5, **args}, scheduling=desk)
    assert isinstance(outcome, ToolFailed)
    assert (outcome.failure, outcome.code) == ("rejected", "INVALID_ARGUMENTS")
    assert says in outcome.message
    assert desk.orders == []


async def test_a_process_without_a_schedule_and_a_call_without_a_session_schedule_nothing() -> None:
    without = await run({"prompt": "x", "delaySeconds": 1}, scheduling=None)
    assert isinstance(without, ToolFailed)
    assert without.code == "TOOL_UNAVAILABLE"
    nobodys = await run({"prompt": "x", "delaySeconds": 1}, scheduling=Desk(), scope=None)
    assert isinstance(nobodys, ToolFailed)
    assert nobodys.code == "INVALID_ARGUMENTS"


def test_the_tool_writes_and_is_keyed() -> None:
    [tool] = [tool for tool in NATIVE_TOOLS if tool.name == NAME]
    assert (tool.risk, tool.idempotency) == (RiskClass.WRITE, Idempotency.KEYED)
