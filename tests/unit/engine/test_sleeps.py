"""Sleeps, and the time that a run may last."""

from datetime import timedelta
from typing import Any

from models.events import EventType
from models.plans import Lit
from models.policies import RunLimits
from models.tools import ToolCallFailure, ToolFailed
from planvault.engine.effects import CallTool, Wait, effects
from planvault.engine.pauses import SignalOpened
from planvault.engine.timers import wake_at
from tests.unit.engine.pauses import GET, SEND, SLEEP, WAIT, arrives, reply_of, signal_plan
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import Story


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
