"""Calls that are not let in wait for a credential, or for an operator."""

from datetime import timedelta

import pytest

from models.commands import CommandKind, Resolution
from models.events import EventType
from models.plans import OnError
from models.runs import RunStatus
from models.tools import ToolCallFailure, ToolFailed
from tests.unit.engine.pauses import SEND, reply_of
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import Story

MISSING = ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="SECRET_MISSING", message="No secret named 'KEY'")
REFUSED = ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="HTTP_401", message="who are you?", status=401)


def kept_out(failed: ToolFailed = MISSING, on_error: OnError = OnError.FAIL) -> Story:
    story = Story()
    story.begin(plan(call("n1", "send", "x", on_error), reply(var("x"))), SEND)
    story.fails(failed)
    return story


@pytest.mark.parametrize(("failed", "reason"), [(MISSING, "credential_missing"), (REFUSED, "credential_refused")])
def test_a_call_that_is_not_let_in_waits_for_a_credential(failed: ToolFailed, reason: str) -> None:
    story = kept_out(failed)
    assert story.statuses[-1] is RunStatus.AWAITING_REAUTH
    [row] = story.decisions[-1].runs
    assert row.pending is not None
    assert {name: row.pending[name] for name in ("kind", "tool", "nodeId", "reason")} == {
        "kind": "reauth",
        "tool": "send",
        "nodeId": "n1",
        "reason": reason,
    }
    assert row.wake_at == story.now + timedelta(days=7)
    story.acts(CommandKind.CREDENTIALS_CHANGED, actor="Ada")
    assert story.call.attempt == 2
    story.answers("in")
    assert reply_of(story) == "in"
    assert story.replayed() == story.state


def test_a_credential_that_changes_while_the_call_is_out_is_tried_at_once() -> None:
    story = Story()
    story.begin(plan(call("n1", "send", "x"), reply(var("x"))), SEND)
    story.later(1)
    story.acts(CommandKind.CREDENTIALS_CHANGED)
    story.fails(REFUSED)
    story.timer()
    assert story.call.attempt == 2
    assert RunStatus.AWAITING_REAUTH not in story.statuses


def test_one_change_of_a_credential_is_tried_once_wherever_the_clock_was_set_to() -> None:
    """Set back, the clock would have the change look newer than every call after it: called again without end."""
    story = kept_out()
    story.acts(CommandKind.CREDENTIALS_CHANGED)
    story.later(-3_600)
    story.fails(REFUSED)
    assert story.statuses[-1] is RunStatus.AWAITING_REAUTH
    story.acts(CommandKind.CREDENTIALS_CHANGED)
    assert story.call.attempt == 3
    story.later(-3_600)
    story.acts(CommandKind.CREDENTIALS_CHANGED)
    story.fails(REFUSED)
    story.timer()
    assert story.call.attempt == 4


def test_a_call_that_the_plan_tolerates_to_fail_asks_for_no_credential() -> None:
    assert reply_of(kept_out(on_error=OnError.CONTINUE)) == "null"


@pytest.mark.parametrize(
    ("resolution", "status"), [(Resolution.RETRY, RunStatus.EXECUTING), (Resolution.FAIL, RunStatus.FAILED)]
)
def test_an_operator_ends_the_wait_for_a_credential(resolution: Resolution, status: RunStatus) -> None:
    story = kept_out()
    story.acts(CommandKind.RESOLVE, resolution=resolution)
    assert story.statuses[-1] is status


def test_nothing_can_be_marked_as_done_that_was_not_let_in() -> None:
    story = kept_out()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.MARK_DONE, result=1)
    assert "nothing to mark as done" in story.one(EventType.ACTION_REFUSED)["why"]


def test_a_credential_that_nobody_mends_interrupts_the_run() -> None:
    story = kept_out()
    story.later(7 * 86_400)
    story.timer()
    assert story.statuses[-1] is RunStatus.INTERRUPTED
    assert story.all(EventType.RUN_STATUS)[-1]["reason"] == "reauth_expired"
    assert story.one(EventType.DONE)["status"] == "interrupted"


def test_the_second_of_two_operators_is_told_that_the_first_was_faster() -> None:
    story = kept_out()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.FAIL, actor="Ada")
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY, actor="Bob")
    assert story.one(EventType.ACTION_REFUSED)["actor"] == "Bob"
