"""Reads before their turn (X8): what is begun, what becomes of it, and that nobody sees a difference."""

from __future__ import annotations

from typing import Any

import pytest

from models.commands import CommandKind
from models.events import EventType
from models.ids import RunId
from models.plans import Compare, CompareOp, Expr, FieldAccess, For, If, IndexAccess, ListOf, Lit, OnError, Plan
from models.policies import RunLimits
from models.runs import RunStatus
from models.runtime_policy import ApprovalRule, RuntimeApproval, RuntimePolicy, RuntimeSafety, SafetyConstraint
from models.tools import Idempotency, RiskClass, ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.effects import CallTool, Wait, effects
from planvault.engine.inputs import EffectDone, TimerFired, Unusable
from planvault.engine.pauses import SLEEP
from planvault.engine.state import ToolFacts
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import Story, facts

READ, WRITE = facts("get"), facts("send", Idempotency.NONE).model_copy(update={"risk": RiskClass.WRITE})


def reads(count: int) -> Plan:
    """Independent ones; the reply holds all results."""
    calls = [call(f"n{number}", "get", f"x{number}", id=Lit(value=number)) for number in range(1, count + 1)]
    return plan(*calls, reply(ListOf(items=tuple(var(f"x{number}") for number in range(1, count + 1))), "n99"))


def told(body: Plan, *tools: ToolFacts, **settings: Any) -> Story:
    story = Story()
    story.begin(body, *(tools or (READ, WRITE)), **settings)
    return story


def in_flight(story: Story) -> list[str]:
    """Nodes of the calls on the wire, in plan order."""
    calls = [effect for effect in effects(story.state) if isinstance(effect, CallTool)]
    return [effect.effect_id.split(":")[1] for effect in calls]


def arrives(story: Story, node: str, result: Any) -> None:
    [effect] = [
        effect
        for effect in effects(story.state)
        if isinstance(effect, CallTool) and effect.effect_id.split(":")[1] == node
    ]
    outcome = result if isinstance(result, ToolFailed) else ToolSucceeded(value=result)
    story.tell(EffectDone(effect.effect_id, outcome, story.now, RunId(story.fresh())))


def shown(story: Story) -> list[str]:
    """What history says of calls, in its order."""
    return [
        f"{event.type.value} {event.payload['nodeId']}"
        for event in story.events
        if event.type in {EventType.TOOL_START, EventType.TOOL_END}
    ]


def failure(kind: ToolCallFailure) -> ToolFailed:
    return ToolFailed(failure=kind, code="X", message="it went wrong")


# ── what is begun ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_independent_reads_are_begun_together() -> None:
    assert in_flight(told(reads(4))) == ["n1", "n2", "n3", "n4"]


def test_at_most_as_many_as_the_limit_says_and_the_next_as_soon_as_one_is_back() -> None:
    story = told(reads(6), limits=RunLimits(max_parallel_calls=3))
    assert in_flight(story) == ["n1", "n2", "n3"]
    arrives(story, "n2", "two")
    assert in_flight(story) == ["n1", "n3", "n4"]


def test_one_call_after_the_other_where_the_switch_is_off() -> None:
    story = told(reads(4), limits=RunLimits(max_parallel_calls=1))
    assert in_flight(story) == ["n1"]
    assert story.all(EventType.AHEAD_INTENDED) == []


def test_a_slow_read_stops_the_others_only_after_twice_the_limit() -> None:
    """What came early is kept in memory: that is bounded too."""
    story = told(reads(20), limits=RunLimits(max_parallel_calls=3))
    for number in range(2, 7):
        arrives(story, f"n{number}", number)
    assert in_flight(story) == ["n1"]


def test_no_more_reads_are_begun_than_the_run_may_make_calls() -> None:
    story = told(reads(6), limits=RunLimits(max_tool_calls=2))
    assert in_flight(story) == ["n1", "n2"]
    arrives(story, "n2", "two")
    arrives(story, "n1", "one")
    assert story.one(EventType.ERROR)["code"] == "LIMIT_TOOL_CALLS"


def test_the_turns_of_a_loop_overlap() -> None:
    body = For(
        id="n2", variable="id", iterable=ListOf(items=(Lit(value=1), Lit(value=2))), body=(call("n3", "get", "x"),)
    )
    story = told(plan(body, reply(var("x"))))
    assert [effect.effect_id.split(":", 1)[1] for effect in effects(story.state) if isinstance(effect, CallTool)] == [
        "n3:0:1",
        "n3:1:1",
    ]


def test_a_read_that_needs_a_result_waits_for_it_and_later_ones_do_not() -> None:
    body = plan(
        call("n1", "get", "x"),
        call("n2", "get", "y", id=FieldAccess(base=var("x"), key="id")),
        call("n3", "get", "z"),
        reply(var("z")),
    )
    story = told(body)
    assert in_flight(story) == ["n1", "n3"]
    arrives(story, "n1", {"id": 7})
    assert in_flight(story) == ["n2", "n3"]


def test_a_result_that_came_before_its_turn_is_used_by_reads_further_on() -> None:
    body = plan(
        call("n1", "get", "x"),
        call("n2", "get", "y"),
        call("n3", "get", "z", id=FieldAccess(base=var("y"), key="id")),
        reply(var("z")),
    )
    story = told(body)
    arrives(story, "n2", {"id": 7})
    assert in_flight(story) == ["n1", "n3"]


@pytest.mark.parametrize(
    "tool",
    [
        facts("send", Idempotency.NONE),
        facts("send", Idempotency.DECLARED),
        facts("send", Idempotency.KEYED),
        facts("send").model_copy(update={"risk": RiskClass.WRITE}),
        facts("send").model_copy(update={"native": SLEEP}),
    ],
    ids=["none", "declared", "keyed", "writes", "waits"],
)
def test_nothing_behind_a_call_that_is_no_read_is_begun_before_it(tool: ToolFacts) -> None:
    body = plan(call("n1", "get", "x"), call("n2", "send"), call("n3", "get", "z"), reply(var("z")))
    story = told(body, READ, tool)
    assert in_flight(story) == ["n1"]
    arrives(story, "n1", None)
    assert "n3" not in in_flight(story)


@pytest.mark.parametrize("condition", [var("x"), Compare(op=CompareOp.EQ, left=var("x"), right=Lit(value=1))])
def test_nothing_is_begun_behind_a_branch_that_is_not_decided(condition: Expr) -> None:
    branch = If(id="n2", condition=condition, then=(call("n3", "get"),), orelse=(call("n4", "get"),))
    assert in_flight(told(plan(call("n1", "get", "x"), branch, reply(var("x"))))) == ["n1"]


def test_a_fault_of_the_plan_further_on_begins_nothing_behind_it() -> None:
    wrong = IndexAccess(base=ListOf(items=()), index=Lit(value=3))
    body = plan(call("n1", "get", "x"), call("n2", "get", id=wrong), call("n3", "get"), reply(var("x")))
    story = told(body)
    assert in_flight(story) == ["n1"]
    arrives(story, "n1", None)
    assert story.one(EventType.DONE)["status"] == "failed"


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_that_a_rule_asks_about_or_denies_is_begun_before_its_turn_and_nothing_behind_it() -> None:
    asks = RuntimePolicy(runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="two", when="args.id == 2"),)))
    denies = RuntimePolicy(runtime_safety=RuntimeSafety(constraints=(SafetyConstraint(id="3", when="args.id == 3"),)))
    assert in_flight(told(reads(4), runtime_policy=asks)) == ["n1"]
    assert in_flight(told(reads(4), runtime_policy=denies)) == ["n1", "n2"]


def test_what_was_read_before_a_question_is_read_again_after_its_answer() -> None:
    """Days may lie in between."""
    story = told(reads(3))
    arrives(story, "n2", "old")
    arrives(story, "n1", failure(ToolCallFailure.CREDENTIAL))
    assert story.statuses[-1] is RunStatus.AWAITING_REAUTH
    assert in_flight(story) == []
    story.acts(CommandKind.CREDENTIALS_CHANGED)
    arrives(story, "n1", "one")
    assert in_flight(story) == ["n2"]
    arrives(story, "n2", "new")
    arrives(story, "n3", "three")
    assert story.one(EventType.DONE)["reply"] == '["one","new","three"]'


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_history_shows_calls_in_plan_order_whatever_order_they_came_in() -> None:
    story = told(reads(3))
    for node in ("n3", "n2", "n1"):
        arrives(story, node, node)
    assert shown(story) == [f"tool_{what} n{number}" for number in (1, 2, 3) for what in ("start", "end")]
    assert story.one(EventType.DONE)["reply"] == '["n1","n2","n3"]'


def test_a_read_in_flight_whose_turn_comes_goes_on_as_the_same_effect() -> None:
    story = told(reads(2))
    before = {effect.effect_id for effect in effects(story.state) if isinstance(effect, CallTool)}
    arrives(story, "n1", "one")
    after = {effect.effect_id for effect in effects(story.state) if isinstance(effect, CallTool)}
    assert after < before


def test_a_failure_counts_when_its_turn_comes() -> None:
    story = told(reads(2))
    arrives(story, "n2", failure(ToolCallFailure.ANSWERED))
    assert story.state.run is not None
    assert story.state.run.status is RunStatus.EXECUTING
    arrives(story, "n1", "one")
    assert story.one(EventType.ERROR)["code"] == "TOOL_FAILED"
    assert story.one(EventType.ERROR)["msg"] == "get: it went wrong"


def test_a_retry_waits_from_its_turn_on_and_others_stay_in_flight() -> None:
    story = told(reads(3))
    arrives(story, "n2", failure(ToolCallFailure.NOT_SENT))
    arrives(story, "n1", "one")
    [wait] = [effect for effect in effects(story.state) if isinstance(effect, Wait)]
    assert in_flight(story) == ["n3"]
    story.now = wait.until
    story.tell(TimerFired(story.now, RunId(story.fresh())))
    assert [effect.attempt for effect in effects(story.state) if isinstance(effect, CallTool)] == [2, 1]


def test_a_run_that_fails_records_that_nobody_waited_for_what_is_in_flight() -> None:
    story = told(reads(3))
    arrives(story, "n1", failure(ToolCallFailure.ANSWERED))
    assert [item["result"]["code"] for item in story.all(EventType.AHEAD_RECORDED)] == ["ABANDONED", "ABANDONED"]
    assert story.one(EventType.DONE)["status"] == "failed"
    assert effects(story.state) == ()


def test_a_result_that_the_record_cannot_hold_ends_the_run_when_its_turn_comes() -> None:
    tolerant = plan(call("n1", "get", "x"), call("n2", "get", "y", on_error=OnError.CONTINUE), reply(var("x")))
    story = told(tolerant)
    effect_id = effects(story.state)[1].effect_id
    done = EffectDone(effect_id, ToolSucceeded(value=1), story.now, RunId(story.fresh()))
    story.tell(Unusable(done, "it cannot be written", story.now, done.fresh_run_id))
    arrives(story, "n1", "one")
    assert story.one(EventType.ERROR)["code"] == "RESULT_UNUSABLE"


def test_a_result_after_the_end_changes_nothing() -> None:
    story = told(reads(2))
    late = effects(story.state)[1].effect_id
    arrives(story, "n1", failure(ToolCallFailure.ANSWERED))
    assert story.tell(EffectDone(late, ToolSucceeded(value=1), story.now, RunId(story.fresh()))).events == ()


# ── cancel and loss ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancelled_run_ends_once_everything_in_flight_is_on_record() -> None:
    story = told(reads(3))
    story.acts(CommandKind.CANCEL)
    arrives(story, "n1", "one")
    arrives(story, "n3", "three")
    assert story.all(EventType.DONE) == []
    arrives(story, "n2", "two")
    assert story.one(EventType.DONE)["status"] == "cancelled"
    assert [item["result"]["value"] for item in story.all(EventType.AHEAD_RECORDED)] == ["three", "two"]
    assert shown(story) == ["tool_start n1", "tool_end n1"]


def test_a_run_cancelled_while_it_waits_to_try_again_ends_once_its_reads_are_back() -> None:
    story = told(reads(2))
    arrives(story, "n1", failure(ToolCallFailure.NOT_SENT))
    story.acts(CommandKind.CANCEL)
    assert story.all(EventType.DONE) == []
    arrives(story, "n2", "two")
    assert story.one(EventType.DONE)["status"] == "cancelled"


def test_reads_lost_with_their_host_are_begun_again_under_new_intents() -> None:
    story = told(reads(3))
    arrives(story, "n2", "two")
    before = {effect.effect_id for effect in effects(story.state)}
    story.recovers()
    calls = [effect for effect in effects(story.state) if isinstance(effect, CallTool)]
    assert [(effect.effect_id.split(":")[1], effect.attempt) for effect in calls] == [("n1", 2), ("n3", 2)]
    assert before.isdisjoint({effect.effect_id for effect in calls})
    arrives(story, "n1", "one")
    arrives(story, "n3", "three")
    assert story.one(EventType.DONE)["reply"] == '["one","two","three"]'


def test_a_read_that_ends_its_hosts_is_not_begun_for_ever() -> None:
    story = told(reads(2), limits=RunLimits(max_attempts=2))
    story.recovers()
    story.recovers()
    assert [item["result"]["code"] for item in story.all(EventType.AHEAD_RECORDED)] == ["HOST_LOST"]


def test_every_request_counts_when_the_call_s_turn_comes() -> None:
    story = told(reads(2))
    story.recovers()
    arrives(story, "n1", "one")
    assert story.state.run is not None
    assert story.state.run.tool_calls == 4


def test_the_record_rebuilds_a_run_with_reads_before_their_turn() -> None:
    story = told(reads(5), limits=RunLimits(max_parallel_calls=4))
    for node in ("n3", "n1"):
        arrives(story, node, {"of": node})
        assert story.replayed() == story.state
