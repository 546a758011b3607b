"""Runs that wait: what tests of signals, sleeps, credentials and the queue begin with."""

from typing import Any

from models.commands import CommandKind, Signal
from models.events import EventType
from models.ids import TokenId
from models.plans import Lit, OnError, Plan
from models.tools import Idempotency
from planvault.engine.pauses import OpenSignal, SignalOpened
from planvault.engine.tokens import token_of
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import Story, facts

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


def reply_of(story: Story) -> str | None:
    text = story.one(EventType.DONE)["reply"]
    assert text is None or isinstance(text, str)
    return text


def token(story: Story, name: str = "paid") -> TokenId:
    assert story.state.run is not None
    return token_of(story.state.run.run_id, name)


def arrives(story: Story, payload: dict[str, Any], name: str = "paid") -> None:
    assert story.state.run is not None
    signal = Signal(run_id=story.state.run.run_id, token_id=token(story, name), payload=payload)
    story.command(CommandKind.SIGNAL, signal)
