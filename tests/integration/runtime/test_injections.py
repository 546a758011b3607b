"""AgentDojo's injections through a real host over a real database: what arrives at the services is the oracle's."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from models.events import EventType
from models.policies import RunLimits
from models.tools import Idempotency
from planvault.ports import ToolCall
from planvault.storage.pool import Pool
from tests.injections.corpus import UserTask, attacks, injected, user_tasks
from tests.injections.programs import NOTE
from tests.injections.worlds import oracle, plan_of, tools_of
from tests.integration.runtime.harness import Platform, World, open_platform

SUITES = ("banking", "slack", "travel", "workspace")


def longest(suite: str) -> UserTask:
    """The task of the most calls whose every call's arguments name it, so that a service knows what it answers."""
    told_apart = [
        task
        for task in user_tasks()
        if task.suite == suite and len({(call.tool, repr(call.args)) for call in task.calls}) == len(task.calls)
    ]
    return max(told_apart, key=lambda task: len(task.calls))


def world_of(task: UserTask, text: str) -> World:
    answers: dict[str, dict[str, Any]] = defaultdict(dict)
    for call in task.calls:
        answers[call.tool][repr(injected(call.args, text))] = injected(call.output, text)
    world = World(plan_of(task))

    def service(name: str) -> Any:
        def answer(call: ToolCall) -> Any:
            given = {key: call.args[key] for key in call.args}
            return None if name == NOTE else answers[name][repr(given)]

        return answer

    for tool in tools_of(task):
        world.tool(tool.name, service(tool.name), Idempotency.NONE)
    return world


@pytest.mark.parametrize("suite", SUITES)
async def test_the_services_get_what_the_oracle_says_whatever_the_answers_say(
    pool: Pool, keys: Path, suite: str
) -> None:
    task = longest(suite)
    text = next(attack.text for attack in attacks(suite) if attack.name == "tool_knowledge")
    world = world_of(task, text)
    platform: Platform = await open_platform(pool, keys, world)
    platform.quick = True
    assert len(oracle(task, text)) <= RunLimits().max_tool_calls
    async with platform.host("a"):
        session = await platform.session()
        await platform.says(session, task.prompt)
        await platform.saw(session, EventType.DONE)
    assert [(call.tool.name, dict(call.args)) for call in world.calls] == oracle(task, text)
    [request] = world.planned
    assert text.strip() not in request.model_dump_json()
