"""What follows when a call fails, or its host dies: the design's recovery table, row by row."""

from datetime import timedelta

import pytest

from models.commands import CommandKind, Resolution
from models.events import EventType
from models.plans import FieldAccess, OnError
from models.runs import RunStatus
from models.tools import Idempotency, ToolCallFailure, ToolFailed
from planvault.engine.effects import MakePlan, Wait
from tests.unit.engine.plans import ONE_CALL, call, plan, reply, var
from tests.unit.engine.story import Story, facts

REPEATABLE = [Idempotency.SAFE, Idempotency.DECLARED, Idempotency.KEYED]


def failure(kind: ToolCallFailure, code: str = "X", retry_after_s: float | None = None) -> ToolFailed:
    return ToolFailed(failure=kind, code=code, message="it went wrong", retry_after_s=retry_after_s)


def calling(idempotency: Idempotency) -> Story:
    story = Story()
    story.begin(ONE_CALL, facts("get", idempotency))
    return story


@pytest.mark.parametrize("idempotency", REPEATABLE)
def test_a_repeatable_call_lost_with_its_host_is_made_again_under_a_new_intent(idempotency: Idempotency) -> None:
    story = calling(idempotency)
    first = story.call
    story.recovers()
    assert story.call.attempt == 2
    assert story.call.effect_id != first.effect_id
    assert story.call.idempotency_key == first.idempotency_key


def test_a_call_that_ends_its_host_every_time_is_not_made_for_ever() -> None:
    story = calling(Idempotency.SAFE)
    for _ in range(5):
        story.recovers()
    assert len(story.all(EventType.TOOL_START)) == 3
    assert story.one(EventType.DONE)["status"] == "failed"


@pytest.mark.parametrize("idempotency", [Idempotency.SAFE, Idempotency.DECLARED, Idempotency.KEYED])
def test_a_cancelled_run_sends_nothing_more_when_its_host_is_lost(idempotency: Idempotency) -> None:
    story = calling(idempotency)
    story.acts(CommandKind.CANCEL)
    story.recovers()
    assert len(story.all(EventType.TOOL_START)) == 1
    assert story.one(EventType.TOOL_END)["code"] == "HOST_LOST"
    assert story.one(EventType.DONE)["status"] == "cancelled"


def test_a_call_without_idempotency_lost_with_its_host_is_never_repeated() -> None:
    story = calling(Idempotency.NONE)
    story.recovers()
    assert story.statuses[-1] is RunStatus.NEEDS_MANUAL_RECOVERY
    assert story.state.run is not None
    assert story.state.run.intent is None


def test_planning_lost_with_its_host_runs_again() -> None:
    story = Story()
    story.says("do it")
    story.prepared()
    before = story.effect
    assert story.recovers().events == ()
    assert story.effect == before
    assert isinstance(story.effect, MakePlan)


def test_a_waiting_run_waits_again() -> None:
    story = Story()
    story.begin(plan(reply(var("run_started_at"))))
    story.says("next")
    assert story.recovers().events == ()


@pytest.mark.parametrize("idempotency", [*REPEATABLE, Idempotency.NONE])
@pytest.mark.parametrize("kind", [ToolCallFailure.NOT_SENT, ToolCallFailure.REFUSED])
def test_what_was_provably_not_executed_is_tried_again_after_a_wait(
    kind: ToolCallFailure, idempotency: Idempotency
) -> None:
    story = calling(idempotency)
    story.fails(failure(kind, retry_after_s=3.0))
    assert isinstance(story.effect, Wait)
    assert story.effect.until == story.now + timedelta(seconds=3)
    story.later(3)
    story.timer()
    assert story.call.attempt == 2


def test_a_timer_that_fires_early_is_ignored() -> None:
    story = calling(Idempotency.SAFE)
    story.fails(failure(ToolCallFailure.NOT_SENT, retry_after_s=3.0))
    assert story.timer().events == ()


@pytest.mark.parametrize("idempotency", REPEATABLE)
def test_an_unknown_outcome_of_a_repeatable_call_is_tried_again(idempotency: Idempotency) -> None:
    story = calling(idempotency)
    story.fails(failure(ToolCallFailure.UNKNOWN))
    assert isinstance(story.effect, Wait)


def test_an_unknown_outcome_without_idempotency_asks_an_operator() -> None:
    story = calling(Idempotency.NONE)
    story.fails(failure(ToolCallFailure.UNKNOWN))
    assert story.statuses[-1] is RunStatus.NEEDS_MANUAL_RECOVERY
    [row] = story.decisions[-1].runs
    assert row.pending is not None
    assert row.pending["kind"] == "recovery"


def test_attempts_are_bounded() -> None:
    story = calling(Idempotency.SAFE)
    for _ in range(2):
        story.fails(failure(ToolCallFailure.UNKNOWN))
        story.later(120)
        story.timer()
    story.fails(failure(ToolCallFailure.UNKNOWN))
    assert story.statuses[-1] is RunStatus.FAILED
    assert len(story.all(EventType.TOOL_START)) == 3


@pytest.mark.parametrize("kind", [ToolCallFailure.ANSWERED, ToolCallFailure.REJECTED])
def test_a_definite_failure_ends_the_run_and_names_the_tool(kind: ToolCallFailure) -> None:
    story = calling(Idempotency.SAFE)
    story.fails(failure(kind))
    assert story.one(EventType.ERROR)["code"] == "TOOL_FAILED"
    assert story.one(EventType.ERROR)["msg"] == "get: it went wrong"


def test_a_failure_that_the_plan_tolerates_becomes_null() -> None:
    story = Story()
    tolerant = plan(call("n1", "get", "x", on_error=OnError.CONTINUE), reply(var("x")))
    story.begin(tolerant, facts("get"))
    story.fails(failure(ToolCallFailure.ANSWERED))
    assert story.one(EventType.DONE)["reply"] == "null"


# ── the operator ─────────────────────────────────────────────────────────────────────────────────────────────────────


def lost() -> Story:
    story = calling(Idempotency.NONE)
    story.recovers()
    return story


def test_mark_done_goes_on_with_the_result_given() -> None:
    story = lost()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.MARK_DONE, result={"name": "Ada"})
    assert story.one(EventType.DONE)["reply"] == "Ada"
    assert len(story.all(EventType.TOOL_START)) == 1


def test_retry_opens_only_after_the_old_lease_and_the_tool_s_timeout() -> None:
    story = lost()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY)
    assert "opens at" in story.one(EventType.ACTION_REFUSED)["why"]
    story.later(16.1)  # 6 s lease, 10 s timeout
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY)
    assert story.call.attempt == 2
    story.answers({"name": "Ada"})
    assert story.one(EventType.DONE)["reply"] == "Ada"


def test_an_operator_decides_in_a_closed_session_too() -> None:
    story = calling(Idempotency.NONE)
    story.acts(CommandKind.CLOSE)
    story.recovers()
    assert story.statuses[-1] is RunStatus.NEEDS_MANUAL_RECOVERY
    story.acts(CommandKind.RESOLVE, resolution=Resolution.MARK_DONE, result={"name": "Ada"})
    assert story.one(EventType.DONE)["status"] == "cancelled"
    story.says("one more")
    assert story.one(EventType.COMMAND_REFUSED)["why"] == "the session is closed"


def test_fail_ends_the_run() -> None:
    story = lost()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.FAIL, reason="checked by hand")
    assert story.one(EventType.ERROR)["msg"] == "checked by hand"
    assert story.one(EventType.DONE)["status"] == "failed"


def test_cancel_of_a_lost_call_ends_the_run_and_keeps_the_unknown_on_record() -> None:
    story = lost()
    story.acts(CommandKind.CANCEL)
    assert story.one(EventType.DONE)["status"] == "cancelled"
    assert story.one(EventType.TOOL_END)["code"] == "HOST_LOST"


def test_the_record_rebuilds_a_lost_run() -> None:
    story = lost()
    assert story.replayed() == story.state


def test_a_cancelled_run_in_recovery_refuses_to_send_again_and_says_so() -> None:
    story = Story()
    story.begin(
        plan(call("n1", "send", "x"), reply(FieldAccess(base=var("x"), key="a"))), facts("send", Idempotency.NONE)
    )
    story.acts(CommandKind.CANCEL)
    story.recovers()
    assert story.statuses[-1] == RunStatus.NEEDS_MANUAL_RECOVERY
    story.later(1_000)
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY, actor="Ada")
    assert "cancelled" in story.one(EventType.ACTION_REFUSED)["why"]
    story.acts(CommandKind.RESOLVE, resolution=Resolution.MARK_DONE, result={"a": 1})
    assert story.statuses[-1] is RunStatus.CANCELLED
