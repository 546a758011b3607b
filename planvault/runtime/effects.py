"""Runs effects: what the engine asked for, done against the outside world, once each.

Selection and planning are repeatable and are retried here while a part of the platform is away. A tool call is
handed to its executor exactly once: whether it may be repeated is the engine's decision, and costs a new intent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar, cast

import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, stop_never, wait_exponential_jitter
from tenacity.stop import stop_base

from models.base import JsonObject, JsonValue
from models.ids import RunId
from models.planning import PlanRequest
from models.results import Extract, FragmentAnswer, ResultPlace
from models.signals import SignalHandle
from models.tenants import SessionScope
from models.tools import ApprovalPolicy, NativeBinding, Tool, ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.effects import CallTool, Effect, Fragment, MakePlan, Prepare
from planvault.engine.inputs import Broke, EffectResult, Planned, Prepared
from planvault.engine.pauses import CloseSignal, OpenSignal, SignalClosed, SignalOpened
from planvault.engine.state import RunSettings, RunState, SessionState, ToolFacts, ToolPin
from planvault.engine.tokens import token_of
from planvault.errors import NotFound, PlanVaultError, Unavailable
from planvault.plan.validate import tools_used
from planvault.policy.effective import effective
from planvault.ports import (
    CallTarget,
    Catalog,
    Planner,
    Policies,
    Secrets,
    Signals,
    ToolCall,
    ToolExecutor,
    ToolSelector,
    ToolWorkers,
)
from planvault.redact import Redactor
from planvault.runtime.run_secrets import RunSecrets
from planvault.runtime.session import LeaseGate
from planvault.runtime.tool_cache import ToolCache
from planvault.storage.pool import is_away
from retrieval.scenarios.instructions import filled

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")

_CALLS_AT_ONCE = 256
_PATIENCE_S = 30.0  # how long a missing part of the platform is waited for


class EffectRunner:
    """Implements the session's Runner."""

    def __init__(
        self,
        *,
        selector: ToolSelector,
        catalog: Catalog,
        planner: Planner,
        executor: ToolExecutor,
        secrets: Secrets,
        signals: Signals,
        policies: Policies,
        monotonic: Callable[[], float],
        workers: ToolWorkers | None = None,
    ) -> None:
        self._selector = selector
        self._planner = planner
        self._executor = executor
        self._secrets = secrets
        self._signals = signals
        self._policies = policies
        self._workers = workers
        self._tools = ToolCache(catalog, monotonic)
        self._run_secrets = RunSecrets(secrets, signals, monotonic)
        self._calls = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def run(self, state: SessionState, effect: Effect, gate: LeaseGate) -> EffectResult:
        scope = state.scope
        if isinstance(effect, CallTool):
            if state.run is None:
                raise AssertionError("a call belongs to a run")
            return await self._call(scope, state.run, effect, gate)
        try:
            if isinstance(effect, Prepare):
                return await self._patiently(lambda: self._prepare(scope, effect))
            if isinstance(effect, MakePlan):
                return await self._patiently(lambda: self._plan(scope, effect))
            if isinstance(effect, Fragment):
                return await self._patiently(lambda: self._fragment(state, effect))
            if isinstance(effect, OpenSignal | CloseSignal):
                # Nothing is sent, and whatever was answered with 200 must count: better late than failed.
                return await self._patiently(lambda: self._of_signal(scope, effect), stop_never)
        except PlanVaultError as fault:
            return Broke(fault.code, fault.detail)
        # The record must say that the run failed, and why nobody understood it.
        except Exception as fault:  # noqa: BLE001
            if is_away(fault):
                return Broke(Unavailable.code, f"The database does not answer ({type(fault).__name__}).")
            _log.exception("effect.broke", effect=effect.effect_id)
            return Broke("INTERNAL", f"The platform failed on this step ({type(fault).__name__}); see its log.")
        raise AssertionError(f"nobody runs {type(effect).__name__} here")

    async def _patiently(self, work: Callable[[], Awaitable[_T]], stop: stop_base | None = None) -> _T:
        """Try again while the fault says that trying again can help, by default for _PATIENCE_S."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_can_pass),
            wait=wait_exponential_jitter(multiplier=0.2, max=5.0),
            stop=stop or stop_after_delay(_PATIENCE_S),
            reraise=True,
        ):
            with attempt:
                return await work()
        raise AssertionError("tenacity returns or raises")

    async def _prepare(self, scope: SessionScope, effect: Prepare) -> Prepared:
        policy = await self._policies.of_run(scope)
        settings = RunSettings(
            plan_approval_mode=policy.project.plan_approval_mode,
            auto_approve_plan=policy.session.auto_approve_plan,
            limits=policy.project.limits,
            runtime_policy=effective(policy.organization.runtime_policy, policy.project.runtime_policy),
            session_tags=policy.tags,
        )
        selection = await self._selector.select(scope, effect.prompt)
        return Prepared(selection, settings)

    async def _plan(self, scope: SessionScope, effect: MakePlan) -> Planned:
        tools = await self._tools.many(scope, effect.pins)
        outcome = await self._planner.plan(await self._request(scope, effect, tools))
        called = tools_used(outcome.plan) if outcome.plan is not None else frozenset()
        facts = [await self._facts(scope, tool) for tool in tools if tool.name in called]
        return Planned(outcome, tuple(facts))

    async def _request(self, scope: SessionScope, effect: MakePlan, tools: Sequence[Tool]) -> PlanRequest:
        """What the planner may see. A secret's value that somebody typed or passed along is masked (invariant 3)."""
        policy = await self._policies.of_run(scope)
        names = await self._secrets.names(scope)
        redactor = Redactor([await self._secrets.value(scope, name) for name in names])
        context: JsonObject = {
            name: cast("JsonValue", redactor.clean_json(value)) for name, value in policy.context_vars.items()
        }
        return PlanRequest(
            prompt=redactor.clean(effect.prompt),
            tools=tuple(tools),
            secret_names=tuple(names),
            context_vars=context,
            run_started_at=effect.started_at,
            mode=policy.session.planner_mode or policy.project.planner_mode,
            model=policy.session.planner_model or policy.project.planner_model,
            instruction=redactor.clean(filled(effect.instruction, context)),
        )

    async def _facts(self, scope: SessionScope, tool: Tool) -> ToolFacts:
        target = await self._tools.target(scope, tool, fresh=True)  # a policy set a moment ago counts
        return ToolFacts(
            pin=ToolPin(id=tool.id, version=tool.version, name=tool.name),
            summary=tool.summary or tool.description,
            risk=tool.risk,
            idempotency=tool.idempotency,
            approval_policy=_strictest(tool.approval_policy, target.state.approval_policy),
            timeout_s=tool.timeout_s,
            native=tool.binding.function if isinstance(tool.binding, NativeBinding) else None,
            integration=tool.group.partition("/")[0],
        )

    async def _of_signal(self, scope: SessionScope, effect: OpenSignal | CloseSignal) -> SignalOpened | SignalClosed:
        if isinstance(effect, CloseSignal):
            return SignalClosed(delivered=await self._signals.close(scope, effect.token_id))
        wait = effect.wait
        await self._signals.open(scope, effect.run_id, wait.token_id, wait.name, wait.expires_at)
        return SignalOpened()

    async def _fragment(self, state: SessionState, effect: Fragment) -> FragmentAnswer:
        """What the plan makes of stored values. A worker computes it: it may be asked again."""
        if self._workers is None or state.run is None:
            raise Unavailable("No worker looks into stored results here.")
        place = ResultPlace(scope=state.scope, run_id=state.run.run_id)
        return await self._workers.extract(Extract.model_construct(place=place, query=effect.query))

    async def _call(
        self, scope: SessionScope, run: RunState, effect: CallTool, gate: LeaseGate
    ) -> ToolSucceeded | ToolFailed:
        try:
            [tool] = await self._tools.many(scope, (effect.pin,))
            # Repeated, it may be so because the integration's headers were changed a moment ago.
            target = await self._tools.target(scope, tool, fresh=effect.attempt > 1)
            masked = await self._run_secrets.of(scope, run, lambda: self._templates(scope, run))
        # Whatever is wrong on our side, nothing was sent, and the run must hear of it.
        except Exception as fault:  # noqa: BLE001
            return _not_begun(effect, fault)
        if not target.state.enabled:
            return _rejected("INTEGRATION_DISABLED", f"The integration of {tool.name} is disabled in this project.")
        async with self._calls:
            return await self._send(scope, run, effect, tool, target, masked, gate)

    async def _templates(self, scope: SessionScope, run: RunState) -> list[Mapping[str, str]]:
        """The auth headers of every integration that the run's plan calls; one that is gone binds nothing."""
        found: list[Mapping[str, str]] = []
        for facts in run.facts.values():
            with suppress(NotFound):
                [tool] = await self._tools.many(scope, (facts.pin,))
                found.append((await self._tools.target(scope, tool)).state.auth_headers)
        return found

    async def _send(
        self,
        scope: SessionScope,
        run: RunState,
        effect: CallTool,
        tool: Tool,
        target: CallTarget,
        masked: tuple[str, ...],
        gate: LeaseGate,
    ) -> ToolSucceeded | ToolFailed:
        """The lease is looked at last, behind everything that can take time before the request goes out."""

        async def secret(name: str) -> str:
            try:
                value = await self._value(scope, run.run_id, name)
            except Exception as fault:
                if not is_away(fault):
                    raise
                raise Unavailable(f"The secret {name} cannot be read now ({type(fault).__name__}).") from fault
            await gate.open()
            return value

        call = ToolCall(
            tool=tool,
            args=effect.args,
            target=target,
            idempotency_key=effect.idempotency_key,
            attempt=effect.attempt,
            limits=effect.limits,
            secret=secret,
            scope=scope,
            asked_by=run.requested_by,
            masked=masked,
            place=ResultPlace(scope=scope, run_id=run.run_id),
        )
        await gate.open()
        try:
            return await self._executor.execute(call)
        # An executor never raises; if one does, nobody knows what it had sent.
        except Exception as fault:  # noqa: BLE001
            _log.exception("executor.broke", tool=tool.name)
            return ToolFailed(
                failure=ToolCallFailure.UNKNOWN,
                code="EXECUTOR_FAILED",
                message=f"The executor of {tool.name} failed ({type(fault).__name__}); see the platform's log.",
            )

    async def _value(self, scope: SessionScope, run_id: RunId, name: str) -> str:
        """A secret, or the credential of a signal of this run: given away, its token takes signals from then on."""
        handle = SignalHandle.read(name)
        if handle is None:
            return await self._secrets.value(scope, name)
        token_id = token_of(run_id, handle.name)
        if handle.is_url:
            return self._signals.url(scope, token_id)
        await self._signals.open(scope, run_id, token_id, handle.name, None)
        return await self._signals.credential(scope, token_id)


def _can_pass(fault: BaseException) -> bool:
    return fault.retryable if isinstance(fault, PlanVaultError) else is_away(fault)


def _not_begun(effect: CallTool, fault: Exception) -> ToolFailed:
    """A call that could not be prepared: refused for good, or not sent this time."""
    if isinstance(fault, PlanVaultError) and not fault.retryable:
        return _rejected(fault.code, fault.detail)
    _log.warning("call.not_begun", tool=effect.pin.name, exc_info=fault)
    return ToolFailed(
        failure=ToolCallFailure.NOT_SENT,
        code=fault.code if isinstance(fault, PlanVaultError) else Unavailable.code,
        message=f"{effect.pin.name} could not be called now ({type(fault).__name__}).",
    )


def _rejected(code: str, message: str) -> ToolFailed:
    return ToolFailed(failure=ToolCallFailure.REJECTED, code=code, message=message)


def _strictest(tool: ApprovalPolicy, integration: ApprovalPolicy | None) -> ApprovalPolicy:
    """A tool's `always` stands; otherwise the project's word on the integration counts."""
    return tool if integration is None or tool is ApprovalPolicy.ALWAYS else integration
