"""Runs a task's plan twice: in the engine, against a world's answers, and in Python itself, which is the oracle."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from models.ids import IntegrationId, OrgId, RunId, ToolId
from models.plans import Call, Plan, PlannerMode
from models.policies import PlanApprovalMode
from models.runs import RunStatus
from models.tools import (
    ApprovalPolicy,
    Idempotency,
    NativeBinding,
    ParamLocation,
    RiskClass,
    Tool,
    ToolParam,
    ToolSucceeded,
)
from planvault.engine.effects import CallTool, Effect, MakePlan, Prepare, Wait, effects
from planvault.engine.inputs import EffectDone
from planvault.engine.state import ToolFacts, ToolPin
from planvault.plan.compile import compile_plan
from planvault.plan.flow import all_nodes
from tests.injections.corpus import UserTask, injected
from tests.injections.programs import NOTE, source_of
from tests.unit.engine.story import Story

Requested = tuple[str, dict[str, Any]]
_READS = ("get_", "read_", "search_", "list_", "check_")
_MOST_INPUTS = 2_000


@dataclass
class Outcome:
    """What left the engine, in the plan's order: calls by tool with their arguments, and what the planner was asked."""

    status: RunStatus
    calls: list[Requested]
    prompts: list[str]  # of selections and plans
    shown: list[str] = field(default_factory=list)  # types of the history's events


@cache
def plan_of(task: UserTask) -> Plan:
    """Raises AssertionError with the compiler's words where the plan is not one of ours."""
    compiled = compile_plan(f"<script>\n{source_of(task)}\n</script>", PlannerMode.PYTHON_DSL, tools_of(task))
    assert compiled.plan is not None, (task.name, source_of(task), compiled.problems)
    return compiled.plan


@cache
def tools_of(task: UserTask) -> tuple[Tool, ...]:
    params: dict[str, set[str]] = {NOTE: {"text"}}
    for call in task.calls:
        params.setdefault(call.tool, set()).update(call.args)
    return tuple(_tool(number, name, sorted(names)) for number, (name, names) in enumerate(params.items(), 1))


def run(task: UserTask, text: str) -> Outcome:
    """The task in the engine, `text` standing wherever the attacker can write."""
    plan, story = plan_of(task), Story()
    answers = _answers(task, plan, text)
    story.says(task.prompt)
    asked: list[Effect] = [story.effect]
    story.prepared(plan_approval_mode=PlanApprovalMode.AUTO)
    asked.append(story.effect)
    story.planned(plan, *(_facts(tool) for tool in tools_of(task)))
    called: dict[str, Requested] = {}
    for _ in range(_MOST_INPUTS):
        if story.state.run is None:
            break
        waiting = [effect for effect in effects(story.state) if not isinstance(effect, Wait)]
        for effect in waiting:
            assert isinstance(effect, CallTool), f"{task.name} asks for {effect}"
        first = waiting[0]
        assert isinstance(first, CallTool)
        node = first.effect_id.split(":")[1]
        called[first.effect_id] = (first.pin.name, dict(first.args))
        story.tell(EffectDone(first.effect_id, answers(node), story.now, RunId(story.fresh())))
    return Outcome(
        status=story.statuses[-1],
        calls=list(called.values()),
        prompts=[effect.prompt for effect in asked if isinstance(effect, Prepare | MakePlan)],
        shown=story.types,
    )


def oracle(task: UserTask, text: str) -> list[Requested]:
    """The calls that Python makes of the plan's text with the same answers."""
    outputs = iter(call.output for call in task.calls)
    made: list[Requested] = []

    def tool(name: str) -> Callable[..., Any]:
        def called(**args: Any) -> Any:
            made.append((name, copy.deepcopy(args)))
            return None if name == NOTE else injected(next(outputs), text)

        return called

    scope: dict[str, Any] = {each.name: tool(each.name) for each in tools_of(task)}
    exec(source_of(task), {"__builtins__": {}, **scope, "reply": lambda _: None})
    return made


def _answers(task: UserTask, plan: Plan, text: str) -> Callable[[str], ToolSucceeded]:
    nodes = [node.id for node in all_nodes(plan.body) if isinstance(node, Call) and node.tool != NOTE]
    by_node = dict(zip(nodes, task.calls, strict=True))

    def answer(node: str) -> ToolSucceeded:
        return ToolSucceeded(value=injected(by_node[node].output, text) if node in by_node else None)

    return answer


def _tool(number: int, name: str, params: list[str]) -> Tool:
    return Tool(
        id=ToolId(UUID(int=number)),
        org_id=OrgId(UUID(int=1)),
        integration_id=IntegrationId(UUID(int=2)),
        name=name,
        group="agentdojo",
        binding=NativeBinding(function=name),
        params=tuple(ToolParam(name=one, location=ParamLocation.BODY, body_path=(one,)) for one in params),
        idempotency=Idempotency.SAFE if name.startswith(_READS) else Idempotency.NONE,
    )


def _facts(tool: Tool) -> ToolFacts:
    return ToolFacts(
        pin=ToolPin(id=tool.id, version=1, name=tool.name),
        summary=tool.name,
        risk=RiskClass.READ,
        idempotency=tool.idempotency,
        approval_policy=ApprovalPolicy.DEFAULT,
        timeout_s=10,
    )
