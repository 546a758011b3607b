"""Reads that overlap, through a real host: what the service sees, what people see, what a kill or a move leaves."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from models.commands import CommandKind
from models.events import EventType
from models.plans import ListOf, Lit, Plan
from models.policies import PlanApprovalMode, ProjectSettings, RunLimits
from models.runs import RunStatus
from planvault.ports import ToolCall
from planvault.storage.pool import Pool
from tests.integration.runtime.harness import Platform, World, eventually, open_platform
from tests.unit.engine.plans import call, plan, reply, var

READS = 20


def _reads() -> Plan:
    calls = [call(f"n{number}", "get", f"x{number}", id=Lit(value=number)) for number in range(READS)]
    return plan(*calls, reply(ListOf(items=tuple(var(f"x{number}") for number in range(READS))), "n99"))


REPLY = "[" + ",".join(str(number) for number in range(READS)) + "]"


class Service:
    """Answers with what it was asked for, once its gate is open. Counts requests by intent."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.inside = 0
        self.most_inside = 0
        self.requests: Counter[tuple[str, int]] = Counter()

    async def answer(self, asked: ToolCall) -> object:
        self.requests[asked.idempotency_key, asked.attempt] += 1
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await self.gate.wait()
        finally:
            self.inside -= 1
        return asked.args["id"]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def platform(pool: Pool, keys: Path, service: Service) -> Platform:
    world = World(_reads())
    world.tool("get", service.answer)
    opened = await open_platform(pool, keys, world)
    opened.quick = True
    return opened


async def _calls(platform: Platform, session: object) -> list[str]:
    """`tool_start` and `tool_end` as history shows them."""
    shown = await platform.history(session)  # type: ignore[arg-type]
    ours = {EventType.TOOL_START, EventType.TOOL_END}
    return [f"{event.type.value} {event.payload['nodeId']}" for event in shown if event.type in ours]


IN_PLAN_ORDER = [f"tool_{what} n{number}" for number in range(READS) for what in ("start", "end")]


async def test_sixteen_reads_are_on_the_wire_at_once_and_history_is_in_plan_order(
    platform: Platform, service: Service
) -> None:
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await eventually(lambda: service.inside == 16, what="sixteen reads at once")
        service.gate.set()
        await platform.saw(session, EventType.DONE)
    assert service.most_inside == 16
    assert (await platform.history(session))[-1].payload["reply"] == REPLY
    assert await _calls(platform, session) == IN_PLAN_ORDER
    assert set(service.requests.values()) == {1}


async def test_the_switch_turns_it_off(platform: Platform, service: Service) -> None:
    limits = RunLimits(max_parallel_calls=1)
    settings = ProjectSettings(plan_approval_mode=PlanApprovalMode.AUTO, limits=limits).model_dump(mode="json")
    await platform.pool.execute("UPDATE projects SET settings = $2 WHERE id = $1", platform.scope.project_id, settings)
    service.gate.set()
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    assert service.most_inside == 1
    assert await _calls(platform, session) == IN_PLAN_ORDER


async def test_a_host_killed_with_reads_on_the_wire_leaves_nothing_undone_and_no_intent_with_two_requests(
    platform: Platform, service: Service
) -> None:
    async with platform.host("first"):
        session = await platform.session()
        await platform.says(session)
        await eventually(lambda: service.inside == 16, what="sixteen reads at once")
    service.gate.set()
    async with platform.host("second"):
        await platform.saw(session, EventType.DONE)
    assert (await platform.history(session))[-1].payload["reply"] == REPLY
    assert len({key for key, _ in service.requests}) == READS
    assert set(service.requests.values()) == {1}
    assert {attempt for _, attempt in service.requests} == {1, 2}


async def test_a_host_that_is_drained_waits_for_reads_on_the_wire_and_begins_no_more(
    platform: Platform, service: Service
) -> None:
    async with platform.host("first") as first:
        session = await platform.session()
        await platform.says(session)
        await eventually(lambda: service.inside == 16, what="sixteen reads at once")
        leaving = asyncio.create_task(first.drain())
        await eventually(lambda: first.ownership.draining, what="the host leaves")
        assert not leaving.done()
        service.gate.set()
        await asyncio.wait_for(leaving, 15)
        assert sum(service.requests.values()) == 16
        async with platform.host("second"):
            await platform.saw(session, EventType.DONE)
    assert (await platform.history(session))[-1].payload["reply"] == REPLY
    assert set(service.requests.values()) == {1}


async def test_a_cancelled_run_ends_once_every_read_on_the_wire_is_on_record(
    platform: Platform, service: Service
) -> None:
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await eventually(lambda: service.inside == 16, what="sixteen reads at once")
        await platform.acts(session, CommandKind.CANCEL)

        async def noted() -> bool:
            return any(event.type is EventType.CANCEL_REQUESTED for event in await platform.record(session))

        await eventually(noted, what="the cancellation on record")
        assert service.inside == 16
        service.gate.set()
        await platform.saw(session, EventType.DONE)
    [run] = await platform.runs(session)
    assert run.status is RunStatus.CANCELLED
    assert sum(service.requests.values()) == 16


async def test_a_result_that_the_record_cannot_hold_spoils_none_of_those_that_came_with_it(
    platform: Platform, service: Service
) -> None:
    async def answer(asked: ToolCall) -> object:
        number = await service.answer(asked)
        return 2**70 if number == 3 else number

    platform.world.tool("get", answer)
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session)
        await eventually(lambda: service.inside == 16, what="sixteen reads at once")
        service.gate.set()
        await platform.saw(session, EventType.DONE)
    history = await platform.history(session)
    [fault] = [event.payload for event in history if event.type is EventType.ERROR]
    assert fault["code"] == "RESULT_UNUSABLE"
    assert await _calls(platform, session) == IN_PLAN_ORDER[:8]
    assert set(service.requests.values()) == {1}
