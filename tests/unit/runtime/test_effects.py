"""Effects at the edge of a lease, and when a part of the platform is away."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from models.ids import IntegrationId, MessageId, OrgId, ProjectId, RunId, SessionId, TokenId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tenants import SessionScope
from models.tools import IntegrationState, NativeBinding, Tool, ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.effects import CallTool
from planvault.engine.pauses import CloseSignal, SignalClosed
from planvault.engine.state import RunState, SessionState, ToolPin
from planvault.errors import NotFound, Unavailable
from planvault.ports import CallTarget, ToolCall
from planvault.runtime import effects
from planvault.runtime.effects import EffectRunner

SCOPE = SessionScope(org_id=OrgId(UUID(int=1)), project_id=ProjectId(UUID(int=2)), session_id=SessionId(UUID(int=3)))
TOOL = Tool(
    id=ToolId(UUID(int=4)),
    org_id=SCOPE.org_id,
    integration_id=IntegrationId(UUID(int=5)),
    name="get",
    group="g",
    binding=NativeBinding(function="get"),
)
RUN = RunState(RunId(UUID(int=6)), MessageId(UUID(int=7)), "do it", datetime(2026, 1, 1, tzinfo=UTC))
STATE = SessionState(SCOPE, run=RUN)
CALL = CallTool("e", ToolPin(id=TOOL.id, version=1, name="get"), {}, "key", 1, RunLimits())


@dataclass
class Outside:
    """Catalog, secrets, executor and gate in one."""

    catalog_fault: Exception | None = None
    secret_fault: Exception | None = None
    needs_secret: bool = False
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    looked_up: int = 0
    signal_faults: list[Exception] = field(default_factory=list)

    async def tools(self, scope: object, ids: object) -> list[Tool]:
        if self.catalog_fault is not None:
            raise self.catalog_fault
        return [TOOL]

    async def close(self, scope: object, token_id: object) -> bool:
        if self.signal_faults:
            raise self.signal_faults.pop()
        return True

    async def binding(self, scope: object, tool: Tool) -> CallTarget:
        self.looked_up += 1
        return CallTarget("http://service", IntegrationState(), EgressPolicy())

    async def value(self, scope: object, name: str) -> str:
        if self.secret_fault is not None:
            raise self.secret_fault
        return "hush"

    async def execute(self, call: ToolCall) -> ToolSucceeded | ToolFailed:
        if self.needs_secret:
            try:
                await call.secret("TOKEN")
            except Unavailable as fault:
                return ToolFailed(failure=ToolCallFailure.NOT_SENT, code=fault.code, message=fault.detail)
        self.sent += 1
        await self.answered.wait()
        return ToolSucceeded()

    async def open(self) -> None:
        await self.is_open.wait()

    def leaves(self, shard: int) -> bool:
        return False

    def runner(self) -> EffectRunner:
        unused: Any = None
        return EffectRunner(
            selector=unused,
            catalog=self,
            planner=unused,
            executor=self,
            secrets=self,  # type: ignore[arg-type]
            signals=self,  # type: ignore[arg-type]
            policies=unused,
            monotonic=lambda: 0.0,
        )


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_call_that_waited_for_its_turn_looks_at_the_lease_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease may have run out in the queue; sent then, it could meet an operator's retry."""
    monkeypatch.setattr(effects, "_CALLS_AT_ONCE", 1)
    outside = Outside()
    outside.is_open.set()
    runner = outside.runner()
    first = asyncio.create_task(runner.run(STATE, CALL, outside))
    second = asyncio.create_task(runner.run(STATE, CALL, outside))
    await settled()
    assert outside.sent == 1
    outside.is_open.clear()
    outside.answered.set()
    await first
    await settled()
    assert outside.sent == 1
    outside.is_open.set()
    await second
    assert outside.sent == 2


async def test_the_lease_is_looked_at_after_secrets_were_read() -> None:
    outside = Outside(needs_secret=True)
    outside.is_open.set()
    outside.answered.set()
    runner = outside.runner()
    real = outside.value

    async def slow(scope: object, name: str) -> str:
        outside.is_open.clear()
        return await real(scope, name)

    outside.value = slow  # type: ignore[method-assign]
    task = asyncio.create_task(runner.run(STATE, CALL, outside))
    await settled()
    assert outside.sent == 0
    outside.is_open.set()
    await task
    assert outside.sent == 1


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (ConnectionRefusedError("down"), ToolCallFailure.NOT_SENT),
        (Unavailable("away"), ToolCallFailure.NOT_SENT),
        (KeyError("a fault of ours"), ToolCallFailure.NOT_SENT),
        (NotFound("gone"), ToolCallFailure.REJECTED),
    ],
)
async def test_a_call_that_cannot_be_prepared_has_a_result_and_was_not_sent(
    fault: Exception, failure: ToolCallFailure
) -> None:
    outside = Outside(catalog_fault=fault)
    outside.is_open.set()
    result = await outside.runner().run(STATE, CALL, outside)
    assert isinstance(result, ToolFailed)
    assert result.failure is failure
    assert outside.sent == 0


async def test_a_repeated_call_goes_where_the_integration_points_now() -> None:
    """It is repeated because headers were changed, maybe a moment ago: yesterday's would be refused again."""
    outside = Outside()
    outside.is_open.set()
    outside.answered.set()
    runner = outside.runner()
    await runner.run(STATE, CALL, outside)
    await runner.run(STATE, CALL, outside)
    assert outside.looked_up == 1
    await runner.run(STATE, replace(CALL, attempt=2), outside)
    assert outside.looked_up == 2


async def test_whether_a_signal_came_is_asked_until_the_database_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered with 200 must not be lost because the database was away at the deadline."""
    monkeypatch.setattr(effects, "_PATIENCE_S", 0.0)
    outside = Outside(signal_faults=[ConnectionRefusedError("down")])
    asked = CloseSignal("e", RUN.run_id, TokenId(UUID(int=8)))
    assert await outside.runner().run(STATE, asked, outside) == SignalClosed(delivered=True)


async def test_a_secret_that_cannot_be_read_now_leaves_the_call_unsent() -> None:
    outside = Outside(needs_secret=True, secret_fault=ConnectionResetError("db"))
    outside.is_open.set()
    result = await outside.runner().run(STATE, CALL, outside)
    assert isinstance(result, ToolFailed)
    assert result.failure is ToolCallFailure.NOT_SENT
