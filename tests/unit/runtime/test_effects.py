"""Effects at the edge of a lease, and when a part of the platform is away."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from models.ids import IntegrationId, MessageId, OrgId, ProjectId, RunId, SessionId, ToolId
from models.policies import EgressPolicy, RunLimits
from models.tenants import SessionScope
from models.tools import IntegrationState, NativeBinding, Tool, ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.effects import CallTool
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

    async def tools(self, scope: object, ids: object) -> list[Tool]:
        if self.catalog_fault is not None:
            raise self.catalog_fault
        return [TOOL]

    async def binding(self, scope: object, tool: Tool) -> CallTarget:
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
            signals=unused,
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


async def test_a_secret_that_cannot_be_read_now_leaves_the_call_unsent() -> None:
    outside = Outside(needs_secret=True, secret_fault=ConnectionResetError("db"))
    outside.is_open.set()
    result = await outside.runner().run(STATE, CALL, outside)
    assert isinstance(result, ToolFailed)
    assert result.failure is ToolCallFailure.NOT_SENT
