from collections.abc import Mapping

import pytest

from models.ids import IntegrationId, OrgId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tools import (
    Binding,
    HttpBinding,
    IntegrationState,
    NativeBinding,
    Tool,
    ToolFailed,
    ToolOutcome,
    ToolSucceeded,
)
from models.values import SecretHandle, SecretText, Value
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.ports import CallTarget, ToolCall
from planvault.tools.dispatch import ToolDispatcher
from planvault.tools.native import NativeExecutor

IDS = TimeOrderedIds()


async def no_secret(name: str) -> str:
    raise AssertionError(f"{name} was asked for")


def call(binding: Binding, args: Mapping[str, Value]) -> ToolCall:
    tool = Tool(
        id=ToolId(IDS.new()),
        org_id=OrgId(IDS.new()),
        integration_id=IntegrationId(IDS.new()),
        name="t",
        group="g",
        binding=binding,
    )
    target = CallTarget("", IntegrationState(), EgressPolicy())
    return ToolCall(tool, args, target, "key", 1, RunLimits(), no_secret)


async def run(function: str, **args: Value) -> ToolOutcome:
    return await NativeExecutor(SystemClock()).execute(call(NativeBinding(function=function), args))


@pytest.mark.parametrize("value", [None, 1, "x", [1, {"a": None}]])
async def test_noop_returns_its_value(value: Value) -> None:
    outcome = await run("noop", value=value)
    assert isinstance(outcome, ToolSucceeded)
    assert outcome.value == value


@pytest.mark.parametrize("function", ["sleep", "wait_for_signal"])
async def test_a_wait_is_the_engine_s_and_never_comes_here(function: str) -> None:
    outcome = await run(function)
    assert isinstance(outcome, ToolFailed)
    assert outcome.code == "TOOL_UNAVAILABLE"


async def test_native_tools_take_no_secrets() -> None:
    outcome = await run("noop", value={"deep": [SecretText((SecretHandle("S"),))]})
    assert isinstance(outcome, ToolFailed)
    assert outcome.code == "SECRET_NOT_ALLOWED"


async def test_a_function_this_build_lacks_is_rejected() -> None:
    outcome = await run("launch_rocket")
    assert isinstance(outcome, ToolFailed)
    assert outcome.code == "TOOL_UNAVAILABLE"


class Recorder:
    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    async def execute(self, call: ToolCall) -> ToolOutcome:
        self.calls.append(call)
        return ToolSucceeded()


async def test_each_binding_goes_to_its_executor() -> None:
    http, native = Recorder(), Recorder()
    dispatcher = ToolDispatcher(http, native)
    await dispatcher.execute(call(HttpBinding(method="GET", path="/"), {}))
    await dispatcher.execute(call(NativeBinding(function="noop"), {}))
    assert (len(http.calls), len(native.calls)) == (1, 1)
