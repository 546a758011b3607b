"""Before a call's first intent: denied, asked about, or let through; and whose answers count."""

from typing import Any

import pytest

from models.audit import AuditAction
from models.commands import CommandKind, Message, Resolution
from models.events import EventType, Visibility
from models.ids import MessageId
from models.plans import ListOf, Lit, Plan, Slot
from models.policies import PlanApprovalMode
from models.runs import RunStatus
from models.runtime_policy import (
    ApprovalRule,
    PlanApprovalRules,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SafetyConstraint,
    SlotRules,
)
from models.tools import ApprovalPolicy, Idempotency, ToolCallFailure, ToolFailed
from planvault.engine.effects import CallTool, Wait, effects
from tests.unit.engine.plans import For, call, plan, reply, var
from tests.unit.engine.story import Story, facts

PAY = plan(call("n1", "pay", "x", amount=Lit(value=500), to=Lit(value="ada")), reply(var("x")))
SAFE = facts("pay", Idempotency.SAFE)
NONE = facts("pay", Idempotency.NONE)


def asks(*rules: ApprovalRule, **policy: Any) -> RuntimePolicy:
    return RuntimePolicy(runtime_approval=RuntimeApproval(rules=rules, expires_in_seconds=600), **policy)


def over(limit: int, **fields: Any) -> ApprovalRule:
    return ApprovalRule(id=f"over-{limit}", tools=("pay",), when=f"args.amount > {limit}", **fields)


def denies(when: str, message: str = "") -> RuntimePolicy:
    constraint = SafetyConstraint(id="never", tools=("pay",), when=when, message=message)
    return RuntimePolicy(runtime_safety=RuntimeSafety(constraints=(constraint,)))


def told(policy: RuntimePolicy, the_plan: Plan = PAY, fact: Any = SAFE, operator: str = "", **settings: Any) -> Story:
    """A run that stands before its first call, or before whatever the policy makes of it."""
    story = Story()
    message = Message(message_id=MessageId(story.fresh()), text="do it", actor="key:k", operator=operator)
    story.command(CommandKind.MESSAGE, message)
    story.prepared(runtime_policy=policy, **settings)
    story.planned(the_plan, fact)
    return story


def audits(story: Story) -> list[AuditAction]:
    return [row.action for decision in story.decisions for row in decision.audits]


def pending(story: Story) -> dict[str, Any]:
    rows = [row for decision in story.decisions for row in decision.runs if row.pending is not None]
    return dict(rows[-1].pending or {})


def answer(story: Story, kind: CommandKind = CommandKind.APPROVE_TOOL, operator: str = "", **fields: Any) -> None:
    correlation = story.all(EventType.TOOL_APPROVAL_REQUIRED)[-1]["correlationId"]
    given = {"correlation_id": correlation, "actor": operator or "key:k", "operator": operator} | fields
    story.acts(kind, **given)


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


# ── who may answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_sent_the_prompt_may_not_approve_where_policy_says_so() -> None:
    story = told(asks(over(100), forbid_self_approval=True), operator="Alice")
    answer(story, operator="  alice ")
    refused = story.one(EventType.ACTION_REFUSED)
    assert (refused["code"], refused["action"]) == ("SELF_APPROVAL", "approve_tool")
    answer(story)
    assert story.all(EventType.ACTION_REFUSED)[-1]["code"] == "OPERATOR_REQUIRED"
    assert audits(story).count(AuditAction.ACTION_REFUSED) == 2
    answer(story, operator="bob")
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["actor"] == "bob"


def test_whoever_sent_the_prompt_may_take_it_back() -> None:
    story = told(asks(over(100), forbid_self_approval=True), operator="alice")
    answer(story, CommandKind.REJECT_TOOL, operator="alice")
    assert story.statuses[-1] is RunStatus.CANCELLED


def test_only_members_of_the_named_groups_count() -> None:
    groups = {"finance": ("Bob", "carol")}
    story = told(asks(over(100, groups=("finance",)), groups=groups))
    answer(story, operator="mallory")
    answer(story, CommandKind.REJECT_TOOL, operator="mallory")
    assert [each["code"] for each in story.all(EventType.ACTION_REFUSED)] == ["NOT_AN_APPROVER"] * 2
    assert "finance" in story.all(EventType.ACTION_REFUSED)[0]["why"]
    answer(story, operator="bob")
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approved"] is True


def test_a_group_that_nobody_defined_lets_nobody_approve() -> None:
    story = told(asks(over(100, groups=("ghosts",))))
    answer(story, operator="bob")
    assert story.one(EventType.ACTION_REFUSED)["code"] == "NOT_AN_APPROVER"


def test_a_quorum_needs_different_people_and_shows_every_vote() -> None:
    story = told(asks(over(100, quorum=2)))
    answer(story, operator="bob")
    assert pending(story)["votes"] == [{"actor": "bob"}]
    answer(story, operator="BOB")
    assert story.one(EventType.ACTION_REFUSED)["code"] == "ALREADY_VOTED"
    assert "tool_start" not in story.types
    answer(story, operator="carol")
    assert [(vote["actor"], vote["votes"], vote["quorum"]) for vote in story.all(EventType.APPROVAL_VOTE)] == [
        ("bob", 1, 2),
        ("carol", 2, 2),
    ]
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approvers"] == ["bob", "carol"]
    assert isinstance(story.effect, CallTool)
    assert story.replayed() == story.state


def test_one_rejection_rejects_whoever_approved_before() -> None:
    story = told(asks(over(100, quorum=3)))
    answer(story, operator="bob")
    answer(story, CommandKind.REJECT_TOOL, operator="carol")
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approved"] is False


def test_what_was_filled_in_is_shown_as_parameters_are_and_bound_as_a_whole() -> None:
    slots = (Slot(variable="note", prompt="?"), Slot(variable="api_token", prompt="?"))
    asking = plan(call("n1", "pay", "x", amount=Lit(value=1)), reply(var("note")), slots=slots)
    hashes = []
    for ending in "ab":
        story = told(RuntimePolicy(), asking, plan_approval_mode=PlanApprovalMode.REQUIRE)
        values = {"note": "x" * 100_000 + ending, "api_token": "canary"}
        story.acts(CommandKind.FILL_SLOTS, values=values)
        asked = story.one(EventType.CONFIRM_PLAN_REQUIRED)
        assert len(asked["slotValues"]["note"]) < 1_000
        assert "canary" not in str([event.payload for event in story.events if event.visibility is Visibility.HISTORY])
        hashes.append(asked["planHash"])
    assert hashes[0] != hashes[1]


def test_every_rule_that_matched_must_be_satisfied_and_one_person_can_count_for_several() -> None:
    groups = {"finance": ("bob", "carol"), "legal": ("carol", "dan")}
    rules = (over(100, groups=("finance",), quorum=2), over(200, groups=("legal",)))
    story = told(asks(*rules, groups=groups))
    answer(story, operator="bob")
    assert not story.all(EventType.TOOL_APPROVAL_RESULT)
    answer(story, operator="carol")
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approvers"] == ["bob", "carol"]


@pytest.mark.parametrize(("by_plan", "asked"), [(False, False), (True, True)])
def test_a_session_approves_what_people_send_and_not_what_its_plans_do(by_plan: bool, asked: bool) -> None:
    story = Story()
    story.says("first")
    for number in range(2):  # through the queue, and through the snapshot between two runs
        message = Message(message_id=MessageId(story.fresh()), text=str(number), by_plan=by_plan)
        story.command(CommandKind.MESSAGE, message)
    story.acts(CommandKind.CANCEL)
    story.acts(CommandKind.CANCEL)
    story.prepared(auto_approve_plan=True, plan_approval_mode=PlanApprovalMode.REQUIRE)
    story.planned(PAY, SAFE)
    assert bool(story.all(EventType.CONFIRM_PLAN_REQUIRED)) is asked
    assert story.replayed() == story.state


def test_a_plan_can_need_a_group_and_a_quorum_as_well() -> None:
    policy = RuntimePolicy(
        plan_approval=PlanApprovalRules(groups=("ops",), quorum=2, expires_in_seconds=60),
        groups={"ops": ("bob", "carol")},
    )
    story = told(policy, fact=facts("pay", approval=ApprovalPolicy.ALWAYS))
    assert story.one(EventType.CONFIRM_PLAN_REQUIRED)["groups"] == ["ops"]
    story.acts(CommandKind.APPROVE, actor="bob", operator="bob")
    assert story.statuses[-1] is RunStatus.AWAITING_CONFIRMATION
    story.acts(CommandKind.APPROVE, actor="carol", operator="carol")
    assert story.one(EventType.CONFIRM_PLAN_RESULT)["approvers"] == ["bob", "carol"]
    assert audits(story) == [
        AuditAction.PLAN_AUTO_APPROVE_BLOCKED,
        AuditAction.APPROVAL_VOTE,
        AuditAction.APPROVAL_VOTE,
        AuditAction.PLAN_APPROVED,
    ]


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
