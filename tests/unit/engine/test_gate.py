"""Before a call's first intent: denied, asked about, or let through; and what is recorded of it."""

from typing import Any

import pytest

from models.audit import AuditAction
from models.commands import CommandKind, Message, Resolution
from models.events import EventType, Visibility
from models.ids import MessageId
from models.plans import ListOf, Lit
from models.runs import RunStatus
from models.runtime_policy import (
    ApprovalRule,
    PlanApprovalRules,
    RuntimePolicy,
    SlotRules,
)
from models.tools import ApprovalPolicy, ToolCallFailure, ToolFailed
from planvault.engine.effects import CallTool, Wait, effects
from tests.unit.engine.gate import NONE, SAFE, answer, asks, audits, denies, over, pending, told
from tests.unit.engine.plans import For, call, plan, reply, var
from tests.unit.engine.story import facts

# ── hard denial ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_denied_call_is_never_begun_and_fails_the_run_under_control() -> None:
    story = told(denies("args.amount >= 500", "Payments of 500 and more are made by hand."))
    denied = story.one(EventType.TOOL_POLICY_DENIED)
    assert (denied["tool"], denied["nodeId"], denied["constraint"]) == ("pay", "n1", "never")
    assert "tool_start" not in story.types
    assert story.one(EventType.ERROR)["code"] == "POLICY_DENIED"
    assert "made by hand" in story.one(EventType.ERROR)["msg"]
    assert story.statuses[-1] is RunStatus.FAILED
    assert AuditAction.TOOL_POLICY_DENIED in audits(story)
    assert effects(story.state) == ()


def test_a_constraint_that_cannot_be_judged_denies_and_says_so() -> None:
    story = told(denies("args.currency == 'EUR'"))
    assert "currency" in story.one(EventType.TOOL_POLICY_DENIED)["fault"]
    assert "could not be judged" in story.one(EventType.ERROR)["msg"]


def test_a_text_that_a_condition_would_see_cut_off_is_denied() -> None:
    """CEL's binding ends texts at a NUL; the service would get all of it."""
    pay = plan(call("n1", "pay", "x", to=Lit(value="a@example.com\x00,b@evil.com")), reply(var("x")))
    story = told(denies("!args.to.endsWith('@example.com')"), pay)
    assert "NUL" in story.one(EventType.TOOL_POLICY_DENIED)["fault"]
    assert "tool_start" not in story.types


def test_denial_comes_before_approval() -> None:
    policy = asks(over(1)).model_copy(update={"runtime_safety": denies("true").runtime_safety})
    story = told(policy)
    assert story.one(EventType.TOOL_POLICY_DENIED)
    assert not story.all(EventType.TOOL_APPROVAL_REQUIRED)


def test_a_call_that_no_rule_meets_passes() -> None:
    story = told(asks(over(500)))
    assert isinstance(story.effect, CallTool)


# ── approval ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_a_rule_meets_waits_with_what_people_need_to_decide() -> None:
    story = told(asks(over(100, message="Large payment", display_params=("amount",))))
    asked = story.one(EventType.TOOL_APPROVAL_REQUIRED)
    assert asked["displayParams"] == {"amount": 500}
    assert asked["rules"] == [{"id": "over-100", "message": "Large payment"}]
    assert asked["expiresAt"] == "2026-01-01T00:10:00+00:00"
    assert story.statuses[-1] is RunStatus.AWAITING_CONFIRMATION
    assert pending(story)["kind"] == "tool"
    assert pending(story)["correlationId"] == asked["correlationId"]
    assert "tool_start" not in story.types
    [wait] = effects(story.state)
    assert isinstance(wait, Wait)


def test_an_approved_call_is_made_and_its_run_goes_on() -> None:
    story = told(asks(over(100)))
    answer(story, reason="checked")
    result = story.one(EventType.TOOL_APPROVAL_RESULT)
    assert (result["approved"], result["actor"], result["reason"]) == (True, "key:k", "checked")
    assert story.call.args == {"amount": 500, "to": "ada"}
    story.answers("paid")
    assert story.statuses[-1] is RunStatus.COMPLETED
    assert audits(story).count(AuditAction.TOOL_APPROVED) == 1
    assert story.replayed() == story.state


def test_a_rejected_call_is_never_made() -> None:
    story = told(asks(over(100)))
    answer(story, CommandKind.REJECT_TOOL)
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approved"] is False
    assert story.statuses[-1] is RunStatus.CANCELLED
    assert "tool_start" not in story.types
    assert AuditAction.TOOL_REJECTED in audits(story)


def test_a_rule_that_cannot_be_judged_asks_and_says_so() -> None:
    story = told(asks(ApprovalRule(id="r", when="args.currency == 'EUR'")))
    [rule] = story.one(EventType.TOOL_APPROVAL_REQUIRED)["rules"]
    assert "could not be judged" in rule["fault"]


def test_a_retry_of_the_approved_call_is_not_asked_about_again() -> None:
    story = told(asks(over(100)))
    answer(story)
    story.fails(ToolFailed(failure=ToolCallFailure.NOT_SENT, code="X", message="no route"))
    story.later(1)
    story.timer()
    assert story.call.attempt == 2
    assert len(story.all(EventType.TOOL_APPROVAL_REQUIRED)) == 1


def test_a_repeat_after_a_lost_host_is_not_asked_about_again() -> None:
    story = told(asks(over(100)))
    answer(story)
    story.recovers()
    assert story.call.attempt == 2
    assert len(story.all(EventType.TOOL_APPROVAL_REQUIRED)) == 1


def test_every_turn_of_a_loop_is_a_step_of_its_own_even_with_equal_parameters() -> None:
    body = call("n2", "pay", None, amount=Lit(value=500))
    items = ListOf(items=(Lit(value=1), Lit(value=2)))
    story = told(
        asks(over(100)), plan(For(id="n1", variable="i", iterable=items, body=(body,)), reply(Lit(value="ok")))
    )
    answer(story)
    story.answers("one")
    first, second = story.all(EventType.TOOL_APPROVAL_REQUIRED)
    assert first["correlationId"] != second["correlationId"]
    story.acts(CommandKind.APPROVE_TOOL, correlation_id=first["correlationId"], actor="key:k")
    assert "another tool call" in story.one(EventType.ACTION_REFUSED)["why"]
    answer(story)
    story.answers("two")
    assert story.statuses[-1] is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("amount", "tool", "policy"),
    [
        (501, SAFE, asks(over(100))),
        (500, SAFE.model_copy(update={"pin": SAFE.pin.model_copy(update={"version": 2})}), asks(over(100))),
        (500, SAFE, asks(over(100), forbid_self_approval=True)),
        (500, SAFE, asks(over(100), over(200))),
    ],
)
def test_whatever_changes_in_what_was_shown_is_another_question(amount: int, tool: Any, policy: RuntimePolicy) -> None:
    changed = plan(call("n1", "pay", "x", amount=Lit(value=amount), to=Lit(value="ada")), reply(var("x")))
    before = told(asks(over(100))).one(EventType.TOOL_APPROVAL_REQUIRED)
    after = told(policy, changed, tool).one(EventType.TOOL_APPROVAL_REQUIRED)
    assert before["paramsHash"] != after["paramsHash"]
    assert told(asks(over(100))).one(EventType.TOOL_APPROVAL_REQUIRED)["paramsHash"] == before["paramsHash"]


def test_a_plan_s_approval_does_not_answer_a_tool_s_question_nor_the_other_way_round() -> None:
    story = told(asks(over(100)))
    story.acts(CommandKind.APPROVE, actor="key:k")
    assert "no plan waits" in story.one(EventType.ACTION_REFUSED)["why"]
    assert "tool_start" not in story.types
    story = told(asks(over(100)), fact=facts("pay", approval=ApprovalPolicy.ALWAYS))
    story.acts(CommandKind.APPROVE_TOOL, correlation_id="x", actor="key:k")
    assert "no tool call waits" in story.one(EventType.ACTION_REFUSED)["why"]


def test_a_run_can_be_cancelled_while_a_call_waits_for_approval() -> None:
    story = told(asks(over(100)))
    story.acts(CommandKind.CANCEL, actor="key:k")
    assert story.statuses[-1] is RunStatus.CANCELLED


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_approval_that_comes_too_late_is_refused_and_the_run_is_interrupted() -> None:
    story = told(asks(over(100)))
    story.later(601)
    answer(story)
    assert "expired" in story.one(EventType.ACTION_REFUSED)["why"]
    story.timer()
    assert story.one(EventType.DONE)["status"] == "interrupted"
    assert story.all(EventType.RUN_STATUS)[-1]["reason"] == "approval_expired"
    assert AuditAction.APPROVAL_EXPIRED in audits(story)


def test_the_shortest_time_of_the_rules_that_matched_counts() -> None:
    story = told(asks(over(100, expires_in_seconds=60), over(200)))
    assert story.one(EventType.TOOL_APPROVAL_REQUIRED)["expiresAt"] == "2026-01-01T00:01:00+00:00"


def test_plans_and_slots_expire_by_their_own_rules() -> None:
    policy = RuntimePolicy(
        plan_approval=PlanApprovalRules(expires_in_seconds=30), slots=SlotRules(expires_in_seconds=20)
    )
    story = told(policy, fact=facts("pay", approval=ApprovalPolicy.ALWAYS))
    assert story.one(EventType.CONFIRM_PLAN_REQUIRED)["expiresAt"] == "2026-01-01T00:00:30+00:00"
    story.later(31)
    story.timer()
    assert story.all(EventType.RUN_STATUS)[-1]["reason"] == "approval_expired"


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_may_vote_is_for_the_engine_and_not_for_viewers() -> None:
    story = told(asks(over(100, groups=("finance",)), groups={"finance": ("bob",)}))
    visible = [event for event in story.events if event.visibility is Visibility.HISTORY]
    assert "bob" not in str([event.payload for event in visible])


def test_an_automatic_approval_has_one_audit_row_that_names_its_source() -> None:
    story = told(RuntimePolicy())
    rows = [row for decision in story.decisions for row in decision.audits]
    assert [(row.action, row.details["approvalSource"]) for row in rows] == [
        (AuditAction.PLAN_AUTO_APPROVED, "project")
    ]
    assert rows[0].run_id == story.state.run.run_id if story.state.run else False


@pytest.mark.parametrize("resolution", [Resolution.MARK_DONE, Resolution.RETRY, Resolution.FAIL])
def test_an_operator_s_word_on_a_lost_call_is_audited_once(resolution: Resolution) -> None:
    story = told(RuntimePolicy(), fact=NONE)
    story.recovers()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY, actor="too early")
    story.later(60)
    story.acts(CommandKind.RESOLVE, resolution=resolution, actor="bob", reason="looked it up")
    rows = [row for decision in story.decisions for row in decision.audits]
    [row] = [row for row in rows if row.action is AuditAction.RUN_RESOLVED]
    assert row.run_id is not None
    assert row.details | {"runId": ""} == {
        "runId": "",
        "actor": "bob",
        "resolution": resolution.value,
        "reason": "looked it up",
        "tool": "pay",
    }


def test_audit_ids_are_version_7_in_time_order_and_the_same_for_the_same_decision() -> None:
    first, second = told(asks(over(100))), told(asks(over(100)))
    for story in (first, second):
        answer(story)
    ids = [row.id for decision in first.decisions for row in decision.audits]
    assert ids == [row.id for decision in second.decisions for row in decision.audits]
    assert len(set(ids)) == len(ids) == 2
    assert {each.version for each in ids} == {7}
    assert ids[0].int >> 80 == int(first.now.timestamp() * 1_000)


def test_decisions_of_one_instant_have_rows_of_their_own() -> None:
    """A host that comes back applies what was said meanwhile at once. Two rows of one id would end the session."""
    story = told(RuntimePolicy(), fact=NONE)
    story.recovers()
    story.acts(CommandKind.RESOLVE, resolution=Resolution.RETRY, actor="too early")
    story.acts(CommandKind.RESOLVE, resolution=Resolution.MARK_DONE, actor="bob")
    rows = [row for decision in story.decisions for row in decision.audits]
    kinds = [AuditAction.PLAN_AUTO_APPROVED, AuditAction.ACTION_REFUSED, AuditAction.RUN_RESOLVED]
    assert [row.action for row in rows] == kinds
    assert len({row.id for row in rows}) == 3


def test_a_message_keeps_its_sender_through_the_queue_and_a_snapshot() -> None:
    story = told(asks(over(100), forbid_self_approval=True), operator="bob")
    story.command(CommandKind.MESSAGE, Message(message_id=MessageId(story.fresh()), text="next", operator="alice"))
    answer(story, operator="carol")
    story.answers("paid")
    assert story.state.run is not None
    assert story.state.run.requested_by == "alice"
    assert story.replayed() == story.state
