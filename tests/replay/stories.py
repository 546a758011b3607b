"""The runs whose journals are golden: together they write every event that the state is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from models.commands import CommandKind, Message, Signal
from models.events import EventType
from models.ids import BlobId, MessageId, RunId
from models.plans import FieldAccess, Lit, OnError, Plan, Slot, SlotType
from models.policies import PlanApprovalMode, RunLimits
from models.results import FragmentFound, FragmentPart, Stored
from models.runtime_policy import ApprovalRule, RuntimeApproval, RuntimePolicy
from models.tools import Idempotency, ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.effects import effects
from planvault.engine.inputs import EffectDone
from planvault.engine.pauses import SLEEP, WAIT_FOR_SIGNAL, SignalOpened
from planvault.engine.tokens import token_of
from tests.unit.engine.plans import LOOP, ONE_CALL, TWO_CALLS, call, plan, reply, var
from tests.unit.engine.story import Story, facts


def _before_second_call() -> Story:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send", Idempotency.NONE))
    story.answers({"email": "ada@example.com"})
    return story


def _inside_a_loop() -> Story:
    story = Story()
    story.begin(LOOP, facts("get"), facts("send"))
    story.answers([{"id": 1, "total": 5}, {"id": 2, "total": 50}, {"id": 3, "total": 60}])
    story.answers(None)
    return story


def _waiting_for_approval_with_slots() -> Story:
    story = Story()
    slots = (Slot(variable="count", prompt="How many?", type=SlotType.INTEGER),)
    asks = plan(*TWO_CALLS.body[:1], reply(var("count")), slots=slots)
    story.begin(asks, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE)
    story.acts(CommandKind.FILL_SLOTS, values={"count": "3"})
    story.says("and another")
    return story


def _lost_call() -> Story:
    story = _before_second_call()
    story.fails(ToolFailed(failure=ToolCallFailure.UNKNOWN, code="CONNECTION_LOST", message="dropped"))
    return story


def _finished() -> Story:
    story = _before_second_call()
    story.answers(None)
    story.acts(CommandKind.CLOSE)
    return story


def _reading_ahead() -> Story:
    """Of four reads on the wire the first and the third are back."""
    story = Story()
    reads = [call(f"n{number}", "get", f"x{number}", id=Lit(value=number)) for number in range(1, 7)]
    story.begin(plan(*reads, reply(var("x6"))), facts("get"), limits=RunLimits(max_parallel_calls=4))
    for place in (2, 0):
        effect = effects(story.state)[place]
        story.tell(EffectDone(effect.effect_id, ToolSucceeded(value={"of": place}), story.now, RunId(story.fresh())))
    return story


def _cancelled_while_it_reads() -> Story:
    story = _reading_ahead()
    story.acts(CommandKind.CANCEL)
    story.recovers()
    return story


def _a_wait(tool: str, **args: Any) -> Plan:
    given = {name: Lit(value=value) for name, value in args.items()}
    return plan(call("n1", "get", "x"), call("n2", tool, "y", OnError.FAIL, **given), reply(var("y")))


def _waiting_for_a_signal() -> Story:
    """Another one has come already."""
    story = Story()
    waits = facts("wait_for_signal").model_copy(update={"native": WAIT_FOR_SIGNAL})
    story.begin(_a_wait("wait_for_signal", name="paid", timeoutSeconds=60), facts("get"), waits)
    story.answers(None)
    story.done(SignalOpened())
    assert story.state.run is not None
    run_id = story.state.run.run_id
    early = Signal(run_id=run_id, token_id=token_of(run_id, "shipped"), payload={"ok": True})
    story.command(CommandKind.SIGNAL, early)
    return story


def _asleep() -> Story:
    story = Story()
    story.begin(_a_wait("sleep", seconds=60), facts("get"), facts("sleep").model_copy(update={"native": SLEEP}))
    story.answers(None)
    return story


def _asked_about_a_call() -> Story:
    """One of two votes is there."""
    story = Story()
    rule = ApprovalRule(id="seven", when="args.id == 7", quorum=2)
    message = Message(message_id=MessageId(story.fresh()), text="do it", actor="key", operator="eve")
    story.command(CommandKind.MESSAGE, message)
    story.prepared(runtime_policy=RuntimePolicy(runtime_approval=RuntimeApproval(rules=(rule,))))
    story.planned(ONE_CALL, facts("get"))
    _approves(story, "ann")
    return story


def _approved_call() -> Story:
    story = _asked_about_a_call()
    _approves(story, "bob")
    return story


def _voted_signed_in() -> Story:
    """Only people whom an issuer has signed in count; a claim was refused, and one of two votes is there."""
    story = Story()
    rules = (ApprovalRule(id="seven", when="args.id == 7", quorum=2),)
    message = Message(message_id=MessageId(story.fresh()), text="do it", actor="eve", operator="eve", proven=True)
    story.command(CommandKind.MESSAGE, message)
    policy = RuntimePolicy(runtime_approval=RuntimeApproval(rules=rules), signed_in_approvers_only=True)
    story.prepared(runtime_policy=policy)
    story.planned(ONE_CALL, facts("get"))
    _approves(story, "ann")
    _approves(story, "ann", proven=True)
    return story


def _approves(story: Story, operator: str, *, proven: bool = False) -> None:
    asked = story.all(EventType.TOOL_APPROVAL_REQUIRED)[-1]["correlationId"]
    story.acts(CommandKind.APPROVE_TOOL, correlation_id=asked, actor=operator, operator=operator, proven=proven)


def _not_let_in() -> Story:
    story = _before_second_call()
    story.fails(ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="SECRET_MISSING", message="no TOKEN"))
    return story


def _let_in_again() -> Story:
    story = _not_let_in()
    story.acts(CommandKind.CREDENTIALS_CHANGED)
    return story


def _past_its_deadline() -> Story:
    """The call on the wire is no read: it is waited for."""
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send", Idempotency.NONE), limits=RunLimits(max_wall_clock_s=60))
    story.answers({"email": "ada@example.com"})
    story.later(61)
    story.timer()
    return story


def _computing_over_a_stored_value() -> Story:
    """One part was asked for and is there; the next is asked for."""
    story = Story()
    parts = [call(f"n{place}", "get", "y", id=FieldAccess(base=var("x"), key=f"k{place}")) for place in (2, 3)]
    story.begin(plan(call("n1", "get", "x"), *parts, reply(var("y"))), facts("get"))
    stored = Stored(blob_id=BlobId(UUID(int=77)), size=1_000_000, sha256="0" * 64, media_type="application/json")
    story.done(ToolSucceeded(stored=stored, size=1_000_000))
    story.done(FragmentFound(parts=(FragmentPart(value=2),)))
    story.answers(None)
    return story


RECORDED: Mapping[str, Callable[[], Story]] = {
    "before_second_call": _before_second_call,
    "inside_a_loop": _inside_a_loop,
    "waiting_for_approval_with_slots": _waiting_for_approval_with_slots,
    "lost_call": _lost_call,
    "finished": _finished,
    "reading_ahead": _reading_ahead,
    "cancelled_while_it_reads": _cancelled_while_it_reads,
    "waiting_for_a_signal": _waiting_for_a_signal,
    "asleep": _asleep,
    "asked_about_a_call": _asked_about_a_call,
    "approved_call": _approved_call,
    "voted_signed_in": _voted_signed_in,
    "not_let_in": _not_let_in,
    "let_in_again": _let_in_again,
    "past_its_deadline": _past_its_deadline,
    "computing_over_a_stored_value": _computing_over_a_stored_value,
}
