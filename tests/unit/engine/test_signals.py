"""Waits for signals from outside: taken once, before and after their time, whoever dies meanwhile."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from models.commands import Command, CommandKind, Signal
from models.events import EventType
from models.ids import CommandId, RunId
from models.plans import For, ListOf, Lit, OnError
from models.policies import RunLimits
from models.runs import RunStatus
from planvault.engine.effects import effects
from planvault.engine.inputs import CommandArrived, Unusable
from planvault.engine.pauses import CloseSignal, SignalClosed, SignalOpened
from planvault.engine.timers import wake_at
from tests.unit.engine.pauses import SEND, SLEEP, WAIT, arrives, reply_of, signal_plan, token, waiting
from tests.unit.engine.plans import call, plan, reply
from tests.unit.engine.story import SCOPE, Story


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
