"""Who may answer what the gate asks: requesters, groups, quorums, sessions."""

import pytest

from models.audit import AuditAction
from models.commands import CommandKind, Message
from models.events import EventType, Visibility
from models.ids import MessageId
from models.plans import Lit, Slot
from models.policies import PlanApprovalMode
from models.runs import RunStatus
from models.runtime_policy import (
    PlanApprovalRules,
    RuntimePolicy,
)
from models.tools import ApprovalPolicy
from planvault.engine.effects import CallTool
from tests.unit.engine.gate import PAY, SAFE, answer, asks, audits, over, pending, told
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import Story, facts


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
