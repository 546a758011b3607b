"""Tools that run inside the platform.

`get_field`, `set_field` and `merge` are functions of the plan language (`planvault.plan.functions`), where they cost no
step; here is what takes time or measures it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from models.base import JsonValue
from models.tools import (
    ApprovalPolicy,
    HttpBinding,
    Idempotency,
    NativeBinding,
    OutputField,
    ParamLocation,
    RiskClass,
    ToolCallFailure,
    ToolFailed,
    ToolOutcome,
    ToolParam,
    ToolSucceeded,
)
from models.values import SecretText, Value
from planvault.engine.pauses import SLEEP, WAIT_FOR_SIGNAL
from planvault.errors import Unavailable
from planvault.ports import Clock, Scheduling, ToolCall
from planvault.tools import scheduling as schedule_execution
from planvault.tools import waits
from planvault.tools.arguments import BadArgument

Function = Callable[[Mapping[str, JsonValue]], Awaitable[JsonValue]]
CallFunction = Callable[[ToolCall, Mapping[str, JsonValue]], Awaitable[JsonValue]]
"""For what needs more than its arguments: whose call it is, its key, its secrets. Raises BadArgument, Unavailable."""


@dataclass(frozen=True, slots=True)
class NativeTool:
    """A tool of the platform: what the catalog says of it, and what runs."""

    name: str
    summary: str
    params: tuple[ToolParam, ...]
    outputs: tuple[OutputField, ...]
    function: Function | None  # None: the process says what runs, see NativeExecutor, or the engine answers itself
    description: str = ""
    risk: RiskClass = RiskClass.READ
    idempotency: Idempotency = Idempotency.SAFE
    approval_policy: ApprovalPolicy = ApprovalPolicy.DEFAULT
    is_default: bool = True  # every organisation has it


async def _noop(args: Mapping[str, JsonValue]) -> JsonValue:
    return args.get("value")


NATIVE_TOOLS: tuple[NativeTool, ...] = (
    NativeTool(
        name="noop",
        summary="Returns its value unchanged",
        params=(ToolParam(name="value", location=ParamLocation.BODY, body_path=("value",)),),
        outputs=(OutputField(path=()),),
        function=_noop,
        is_default=False,
    ),
    NativeTool(
        name=SLEEP,
        summary=waits.SLEEP_SUMMARY,
        description=waits.SLEEP_DESCRIPTION,
        params=waits.SLEEP_PARAMS,
        outputs=(),
        function=None,
        idempotency=Idempotency.DECLARED,  # not `safe`: what stands behind a wait must not be read before it
        approval_policy=ApprovalPolicy.AUTO_OK,
    ),
    NativeTool(
        name=WAIT_FOR_SIGNAL,
        summary=waits.SIGNAL_SUMMARY,
        description=waits.SIGNAL_DESCRIPTION,
        params=waits.SIGNAL_PARAMS,
        outputs=waits.SIGNAL_OUTPUTS,
        function=None,
        idempotency=Idempotency.DECLARED,
        approval_policy=ApprovalPolicy.AUTO_OK,
    ),
    NativeTool(
        name=schedule_execution.NAME,
        summary=schedule_execution.SUMMARY,
        params=schedule_execution.PARAMS,
        outputs=schedule_execution.OUTPUTS,
        function=None,
        risk=RiskClass.WRITE,
        idempotency=Idempotency.KEYED,
    ),
)
DEFAULT_TOOLS = tuple(tool for tool in NATIVE_TOOLS if tool.is_default)


class NativeExecutor:
    """Implements the ToolExecutor port for tools with a NativeBinding. Without `scheduling` none can be scheduled."""

    def __init__(
        self, clock: Clock, scheduling: Scheduling | None = None, tools: tuple[NativeTool, ...] = NATIVE_TOOLS
    ) -> None:
        self._clock = clock
        self._functions = {tool.name: _of_args(tool.function) for tool in tools if tool.function is not None}
        if scheduling is not None:
            self._functions[schedule_execution.NAME] = schedule_execution.ScheduleExecution(scheduling)

    async def execute(self, call: ToolCall) -> ToolOutcome:
        binding = call.tool.binding
        if isinstance(binding, HttpBinding):
            raise TypeError(f"{call.tool.name} is no native tool")
        return await self._run(binding, call)

    async def _run(self, binding: NativeBinding, call: ToolCall) -> ToolOutcome:
        function = self._functions.get(binding.function)
        if function is None:
            return _rejected("TOOL_UNAVAILABLE", f"This build has no native tool {binding.function}.")
        if any(map(_holds_secret, call.args.values())):
            # Nothing here needs one, and what a native tool returns is recorded.
            return _rejected("SECRET_NOT_ALLOWED", "Native tools take no secrets.")
        started = self._clock.monotonic()
        try:
            value = await function(call, {name: _json(value) for name, value in call.args.items()})
        except BadArgument as fault:
            return _rejected("INVALID_ARGUMENTS", str(fault))
        except Unavailable as fault:
            return ToolFailed(failure=ToolCallFailure.UNKNOWN, code=fault.code, message=fault.detail)
        return ToolSucceeded(value=value, duration_ms=round((self._clock.monotonic() - started) * 1000, 3))


def _of_args(function: Function) -> CallFunction:
    """A function of its arguments alone."""

    async def run(_: ToolCall, args: Mapping[str, JsonValue]) -> JsonValue:
        return await function(args)

    return run


def _holds_secret(value: Value) -> bool:
    if isinstance(value, list):
        return any(map(_holds_secret, value))
    if isinstance(value, dict):
        return any(map(_holds_secret, value.values()))
    return isinstance(value, SecretText)


def _json(value: Value) -> JsonValue:
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    assert not isinstance(value, SecretText)
    return value


def _rejected(code: str, message: str) -> ToolFailed:
    return ToolFailed(failure=ToolCallFailure.REJECTED, code=code, message=message)
