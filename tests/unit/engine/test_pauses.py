"""Waits: signals from outside, sleeps, credentials, deadlines."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from models.commands import Command, CommandKind, Resolution, Signal
from models.events import EventType
from models.ids import CommandId, RunId, TokenId
from models.plans import FieldAccess, For, ListOf, Lit, OnError, Plan
from models.policies import RunLimits
from models.runs import RunStatus
from models.tools import Idempotency, ToolCallFailure, ToolFailed
from planvault.engine.effects import CallTool, Wait, effects
from planvault.engine.inputs import CommandArrived, Unusable
from planvault.engine.pauses import CloseSignal, OpenSignal, SignalClosed, SignalOpened
from planvault.engine.timers import wake_at
from planvault.engine.tokens import token_of
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import SCOPE, Story, facts

WAIT = facts("wait_for_signal", Idempotency.DECLARED).model_copy(update={"native": "wait_for_signal"})
SLEEP = facts("sleep", Idempotency.DECLARED).model_copy(update={"native": "sleep"})
SEND = facts("send", Idempotency.NONE)
GET = facts("get")


def signal_plan(*, on_error: OnError = OnError.FAIL, **args: Any) -> Plan:
    given = {"name": "paid", "timeoutSeconds": 60, **args}
    return plan(
        call("n1", "wait_for_signal", "x", on_error, **{name: Lit(value=value) for name, value in given.items()}),
        reply(var("x")),
    )


def waiting(**args: Any) -> Story:
    story = Story()
    story.begin(signal_plan(**args), WAIT)
    assert isinstance(story.effect, OpenSignal)
    story.done(SignalOpened())
    return story


def token(story: Story, name: str = "paid") -> TokenId:
    assert story.state.run is not None
    return token_of(story.state.run.run_id, name)


def arrives(story: Story, payload: dict[str, Any], name: str = "paid") -> None:
    assert story.state.run is not None
    signal = Signal(run_id=story.state.run.run_id, token_id=token(story, name), payload=payload)
    story.command(CommandKind.SIGNAL, signal)


def reply_of(story: Story) -> str | None:
    text = story.one(EventType.DONE)["reply"]
    assert text is None or isinstance(text, str)
    return text


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_that_waits_for_a_signal_needs_its_host_only_at_the_deadline() -> None:
    story = waiting()
    assert story.statuses[-1] is RunStatus.AWAITING_EXTERNAL_SIGNAL
    assert wake_at(story.state) == story.now + timedelta(seconds=60)
    [row] = story.decisions[-1].runs
    assert row.wake_at == wake_at(story.state)
    asked = story.one(EventType.AWAITING_SIGNAL)
    assert asked["tokenId"] == str(token(story))
    assert asked["nodeId"] == "n1"
    assert asked["onTimeout"] == "fail"
    assert datetime.fromisoformat(asked["expiresAt"]) == wake_at(story.state)
    assert row.pending is not None
    assert row.pending["kind"] == "signal"


def test_the_payload_is_the_result_and_only_its_keys_are_history() -> None:
    story = waiting()
    arrives(story, {"amount": 7, "by": "Ada"})
    assert reply_of(story) == '{"amount":7,"by":"Ada"}'
    assert story.one(EventType.SIGNAL_RECEIVED)["payloadKeys"] == ["amount", "by"]
    assert story.one(EventType.TOOL_END)["ok"] is True
    assert story.replayed() == story.state


def test_a_signal_that_comes_before_its_wait_is_kept_for_it() -> None:
    story = Story()
    story.begin(
        plan(call("n0", "send", None), *signal_plan().body),
        SEND,
        WAIT,
    )
    arrives(story, {"ok": True})
    assert EventType.SIGNAL_RECEIVED not in [event.type for event in story.events]
    story.answers(None)
    assert reply_of(story) == '{"ok":true}'
    assert RunStatus.AWAITING_EXTERNAL_SIGNAL not in story.statuses
    assert story.replayed() == story.state


def test_a_signal_that_comes_while_its_token_is_made_known_is_taken() -> None:
    story = Story()
    story.begin(signal_plan(), WAIT)
    effect_id = story.effect.effect_id
    arrives(story, {"ok": True})
    assert story.effect.effect_id == effect_id
    story.done(SignalOpened())
    assert reply_of(story) == '{"ok":true}'


def over(**args: Any) -> Story:
    story = waiting(**args)
    story.later(60)
    story.timer()
    assert isinstance(story.effect, CloseSignal)
    return story


def test_when_the_time_is_over_the_token_s_row_is_asked_before_anything_is_said() -> None:
    story = over()
    assert story.all(EventType.SIGNAL_TIMED_OUT) == []
    story.done(SignalClosed(delivered=False))
    assert story.one(EventType.SIGNAL_TIMED_OUT)["policy"] == "fail"
    assert story.one(EventType.ERROR)["code"] == "SIGNAL_TIMED_OUT"
    assert story.statuses[-1] is RunStatus.FAILED


def test_a_wait_that_tolerates_silence_goes_on_with_null() -> None:
    story = over(onTimeout="continue")
    story.done(SignalClosed(delivered=False))
    assert reply_of(story) == "null"
    assert story.one(EventType.SIGNAL_TIMED_OUT)["policy"] == "continue"


def test_an_attempted_wait_goes_on_with_null_whatever_its_own_policy() -> None:
    story = over(on_error=OnError.CONTINUE)
    story.done(SignalClosed(delivered=False))
    assert reply_of(story) == "null"


def test_a_signal_that_was_committed_before_the_wait_was_closed_counts() -> None:
    story = over()
    story.done(SignalClosed(delivered=True))
    assert effects(story.state) == ()
    assert wake_at(story.state) is None
    arrives(story, {"ok": 1})
    assert reply_of(story) == '{"ok":1}'
    assert story.all(EventType.SIGNAL_TIMED_OUT) == []


def test_a_signal_that_is_told_before_its_row_was_asked_makes_the_answer_late() -> None:
    story = over()
    late = story.effect.effect_id
    arrives(story, {"ok": 1})
    assert reply_of(story) == '{"ok":1}'
    assert late not in [effect.effect_id for effect in effects(story.state)]


def test_the_host_that_dies_while_it_closes_or_opens_a_wait_leaves_it_to_the_next() -> None:
    story = over()
    effect = story.effect
    story.recovers()
    assert story.effect == effect


def test_a_wait_that_is_being_closed_is_due_for_whoever_takes_the_shard_over() -> None:
    """Nothing else would bring it back: its status is one in which runs wait for somebody."""
    story = over()
    assert wake_at(story.state) == story.now
    story.done(SignalClosed(delivered=True))
    assert wake_at(story.state) is None


def test_a_delivered_signal_that_cannot_be_used_ends_the_run_that_would_wait_for_it_for_ever() -> None:
    story = over()
    story.done(SignalClosed(delivered=True))
    run = story.state.run
    assert run is not None
    signal = Signal(run_id=run.run_id, token_id=token(story), payload={})
    broken = CommandArrived(
        Command(
            id=CommandId(story.fresh()),
            org_id=SCOPE.org_id,
            session_id=SCOPE.session_id,
            seq=1,
            kind=CommandKind.SIGNAL,
            payload=signal,
        ),
        story.now,
        RunId(story.fresh()),
    )
    story.tell(Unusable(broken, "no", story.now, RunId(story.fresh())))
    assert story.statuses[-1] is RunStatus.FAILED
    assert story.one(EventType.ERROR)["code"] == "RESULT_UNUSABLE"


def test_cancel_ends_a_wait_at_once() -> None:
    story = waiting()
    story.acts(CommandKind.CANCEL)
    assert story.statuses[-1] is RunStatus.CANCELLED
    assert effects(story.state) == ()


def test_a_signal_for_a_run_that_is_over_is_refused_on_the_record() -> None:
    story = waiting()
    run = story.state.run
    assert run is not None
    signal = Signal(run_id=run.run_id, token_id=token(story), payload={})
    story.acts(CommandKind.CANCEL)
    story.command(CommandKind.SIGNAL, signal)
    assert "not the active one" in story.one(EventType.COMMAND_REFUSED)["why"]


def test_two_waits_of_a_run_cannot_share_a_name() -> None:
    story = Story()
    loop = For(id="n0", variable="i", iterable=ListOf(items=(Lit(value=1), Lit(value=2))), body=signal_plan().body[:1])
    story.begin(plan(loop, reply(Lit(value="done"))), WAIT)
    story.done(SignalOpened())
    arrives(story, {})
    assert "has waited for 'paid' already" in story.one(EventType.ERROR)["msg"]


@pytest.mark.parametrize(
    "args",
    [
        {"name": ""},
        {"name": 7},
        {"name": "x" * 201},
        {"timeoutSeconds": 0},
        {"timeoutSeconds": "soon"},
        {"timeoutSeconds": True},
        {"timeoutSeconds": 10**9},
        {"onTimeout": "panic"},
    ],
)
def test_a_wait_with_arguments_that_make_none_fails_like_any_call(args: dict[str, Any]) -> None:
    story = Story()
    story.begin(signal_plan(**args), WAIT)
    assert story.one(EventType.TOOL_END)["code"] == "INVALID_ARGUMENTS"
    assert story.statuses[-1] is RunStatus.FAILED
    assert story.replayed() == story.state


def test_waits_count_as_calls_so_that_a_loop_of_them_ends() -> None:
    story = Story()
    numbers = ListOf(items=tuple(Lit(value=number) for number in range(5)))
    loop = For(id="n0", variable="i", iterable=numbers, body=(call("n1", "sleep", None, seconds=Lit(value=0)),))
    story.begin(plan(loop, reply(Lit(value="done"))), SLEEP, limits=RunLimits(max_tool_calls=3))
    for _ in range(3):
        story.timer()
    assert story.one(EventType.ERROR)["code"] == "LIMIT_TOOL_CALLS"


# ── sleeps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def sleeping(seconds: float, **settings: Any) -> Story:
    story = Story()
    story.begin(plan(call("n1", "sleep", None, seconds=Lit(value=seconds)), reply(Lit(value="up"))), SLEEP, **settings)
    return story


def test_a_sleep_is_a_time_in_the_record() -> None:
    story = sleeping(1_800)
    assert wake_at(story.state) == story.now + timedelta(seconds=1_800)
    assert [type(effect) for effect in effects(story.state)] == [Wait]
    [row] = story.decisions[-1].runs
    assert row.pending == {"kind": "timer", "nodeId": "n1", "until": (story.now + timedelta(seconds=1_800)).isoformat()}
    story.later(1_799)
    assert story.timer().events == ()
    story.recovers()
    story.later(1)
    story.timer()
    assert reply_of(story) == "up"
    assert story.replayed() == story.state


def test_a_sleep_that_the_run_would_not_survive_is_refused_before_it_begins() -> None:
    story = sleeping(7_200)
    assert "would not end" in story.one(EventType.ERROR)["msg"]


def test_days_are_slept_where_the_run_may_last_so_long() -> None:
    story = sleeping(5 * 86_400, limits=RunLimits(max_wall_clock_s=10 * 86_400))
    story.later(5 * 86_400)
    story.timer()
    assert reply_of(story) == "up"


# ── the wall clock ───────────────────────────────────────────────────────────────────────────────────────────────────

ONE_MINUTE = RunLimits(max_wall_clock_s=60)


def deadline(story: Story) -> Wait:
    [wait] = [effect for effect in effects(story.state) if isinstance(effect, Wait)]
    return wait


def test_a_read_in_flight_is_given_up_when_the_run_s_time_is_over() -> None:
    story = Story()
    story.begin(plan(call("n1", "get", "x"), reply(var("x"))), GET, limits=ONE_MINUTE)
    assert deadline(story).until == story.now + timedelta(seconds=60)
    story.later(60)
    story.timer()
    assert story.one(EventType.ERROR)["code"] == "LIMIT_WALL_CLOCK"
    assert story.one(EventType.TOOL_END)["code"] == "ABANDONED"
    assert story.replayed() == story.state


def test_a_call_with_an_effect_is_waited_for_before_the_run_ends_at_its_limit() -> None:
    story = Story()
    story.begin(plan(call("n1", "send", None), call("n2", "send", None), reply(Lit(value=1))), SEND, limits=ONE_MINUTE)
    story.later(61)
    story.timer()
    assert isinstance(story.effect, CallTool)
    story.answers(None)
    assert story.one(EventType.TOOL_END)["ok"] is True
    assert story.one(EventType.ERROR)["code"] == "LIMIT_WALL_CLOCK"
    assert len(story.all(EventType.TOOL_START)) == 1


def test_the_limit_ends_a_backoff() -> None:
    story = Story()
    story.begin(plan(call("n1", "get", "x"), reply(var("x"))), GET, limits=ONE_MINUTE)
    story.later(59)
    failed = ToolFailed(failure=ToolCallFailure.REFUSED, code="HTTP_429", message="busy", retry_after_s=30)
    story.fails(failed)
    story.later(1)
    story.timer()
    assert story.one(EventType.ERROR)["code"] == "LIMIT_WALL_CLOCK"


def test_the_time_that_a_signal_takes_is_not_the_run_s() -> None:
    story = Story()
    body = (*signal_plan(timeoutSeconds=86_400).body[:1], call("n2", "get", "y"), reply(var("y")))
    story.begin(plan(*body), WAIT, GET, limits=ONE_MINUTE)
    story.done(SignalOpened())
    story.later(3_600)
    assert story.timer().events == ()
    arrives(story, {})
    assert deadline(story).until == story.now + timedelta(seconds=60)
    story.answers("fine")
    assert reply_of(story) == "fine"


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────────────────

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


# ── operators ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancelled_run_in_recovery_refuses_to_send_again_and_says_so() -> None:
    story = Story()
    story.begin(plan(call("n1", "send", "x"), reply(FieldAccess(base=var("x"), key="a"))), SEND)
    story.acts(CommandKind.CANCEL)
    story.recovers()
    assert story.statuses[-1] == RunStatus.NEEDS_MANUAL_RECOVERY
    story.later(1_000)
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY, actor="Ada")
    assert "cancelled" in story.one(EventType.ACTION_REFUSED)["why"]
    story.acts(CommandKind.RESOLVE, resolution=Resolution.MARK_DONE, result={"a": 1})
    assert story.statuses[-1] is RunStatus.CANCELLED


def test_the_second_of_two_operators_is_told_that_the_first_was_faster() -> None:
    story = kept_out()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.FAIL, actor="Ada")
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY, actor="Bob")
    assert story.one(EventType.ACTION_REFUSED)["actor"] == "Bob"


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_prompt_behind_a_running_one_is_a_queued_run_with_its_own_id() -> None:
    story = waiting()
    story.says("next")
    queued = story.all(EventType.RUN_STATUS)[-1]
    assert queued["status"] == "queued"
    [row] = story.decisions[-1].runs
    assert str(row.run_id) == queued["runId"]
    assert row.status is RunStatus.QUEUED
    assert story.state.run is not None
    assert story.state.run.status is RunStatus.AWAITING_EXTERNAL_SIGNAL
    story.acts(CommandKind.CANCEL)
    assert str(story.state.run.run_id) == queued["runId"]
    assert story.replayed() == story.state


def test_a_queued_run_can_be_cancelled_by_its_id() -> None:
    story = waiting()
    story.says("next")
    queued = story.state.queue[0].run_id
    assert queued is not None
    story.acts(CommandKind.CANCEL, run_id=queued)
    assert story.one(EventType.DONE)["runId"] == str(queued)
    assert story.state.queue == ()
    assert story.state.run is not None
    assert story.state.run.status is RunStatus.AWAITING_EXTERNAL_SIGNAL
    assert story.replayed() == story.state
