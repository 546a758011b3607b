"""What an issuer has proven stays with a vote: in the record, in what people see, and in whose vote counts."""

import json
from typing import Any

import pytest

from models.audit import AuditAction
from models.commands import Action, CommandKind, Message
from models.events import EventType
from models.ids import MessageId
from models.runs import RunStatus
from models.runtime_policy import ApprovalRule, RuntimeApproval, RuntimePolicy
from planvault.engine.rules import policy_version
from tests.replay.journals import Golden, dump, state_after
from tests.unit.engine.plans import call, plan, reply, var
from tests.unit.engine.story import Story, facts

ADA, BOB = "ada@example.com", "bob@example.com"
PLAN = plan(call("n1", "pay", "x"), reply(var("x")))


def asked(*, rule: dict[str, Any] | None = None, requested_by: str = "", **policy: Any) -> Story:
    """A run whose first call is asked about."""
    story = Story()
    message = Message(message_id=MessageId(story.fresh()), text="do it", actor="key:k", operator=requested_by)
    story.command(CommandKind.MESSAGE, message)
    rules = (ApprovalRule(id="r", **(rule or {})),)
    story.prepared(runtime_policy=RuntimePolicy(runtime_approval=RuntimeApproval(rules=rules), **policy))
    story.planned(PLAN, facts("pay"))
    return story


def answers(story: Story, who: str, kind: CommandKind = CommandKind.APPROVE_TOOL, *, proven: bool = False) -> None:
    correlation = story.all(EventType.TOOL_APPROVAL_REQUIRED)[-1]["correlationId"]
    actor = who if proven else f"{who} (key:k)"
    story.acts(kind, correlation_id=correlation, actor=actor, operator=who, proven=proven)


def last_row(story: Story) -> dict[str, Any]:
    return [row for decision in story.decisions for row in decision.runs if row.pending is not None][-1].pending or {}


def test_where_only_people_who_signed_in_approve_a_claim_is_told_to_sign_in() -> None:
    story = asked(signed_in_approvers_only=True)
    answers(story, ADA)
    refused = story.one(EventType.ACTION_REFUSED)
    assert (refused["code"], "proven" in refused) == ("OPERATOR_REQUIRED", False)
    assert "sign-in at the issuer" in refused["why"]
    assert story.statuses[-1] is RunStatus.AWAITING_CONFIRMATION
    answers(story, ADA, proven=True)
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["proven"] is True
    assert story.replayed() == story.state


def test_a_claim_is_no_member_of_the_group_that_its_name_is_in() -> None:
    strict = {"groups": {"finance": (ADA, BOB)}, "signed_in_approvers_only": True}
    story = asked(rule={"groups": ("finance",), "quorum": 2}, **strict)
    answers(story, ADA)
    answers(story, BOB, CommandKind.REJECT_TOOL)
    assert [each["code"] for each in story.all(EventType.ACTION_REFUSED)] == ["OPERATOR_REQUIRED"] * 2
    answers(story, "eve@example.com", proven=True)
    assert story.all(EventType.ACTION_REFUSED)[-1]["code"] == "NOT_AN_APPROVER"
    assert story.all(EventType.ACTION_REFUSED)[-1]["proven"] is True
    answers(story, ADA, proven=True)
    answers(story, BOB, proven=True)
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approved"] is True
    assert story.replayed() == story.state


@pytest.mark.parametrize("strict", [False, True])
def test_a_claim_and_the_person_of_one_spelling_are_never_two_of_a_quorum(strict: bool) -> None:
    story = asked(rule={"quorum": 2}, signed_in_approvers_only=strict)
    answers(story, ADA)
    answers(story, ADA.upper(), proven=True)
    assert story.statuses[-1] is RunStatus.AWAITING_CONFIRMATION
    assert last_row(story)["votes"] == [{"actor": ADA.upper(), "proven": True}]
    assert story.all(EventType.APPROVAL_VOTE)[-1]["votes"] == 1
    assert story.replayed() == story.state
    answers(story, ADA)
    code = "OPERATOR_REQUIRED" if strict else "ALREADY_VOTED"
    assert story.all(EventType.ACTION_REFUSED)[-1]["code"] == code
    answers(story, BOB, proven=True)
    assert story.one(EventType.TOOL_APPROVAL_RESULT)["approvers"] == [ADA.upper(), BOB]


def test_who_asked_under_a_claim_does_not_approve_signed_in() -> None:
    story = asked(requested_by=ADA, forbid_self_approval=True, signed_in_approvers_only=True)
    answers(story, ADA, proven=True)
    assert story.one(EventType.ACTION_REFUSED)["code"] == "SELF_APPROVAL"
    answers(story, ADA, CommandKind.REJECT_TOOL, proven=True)
    assert story.statuses[-1] is RunStatus.CANCELLED


def test_events_and_audit_rows_say_who_was_proven_and_nothing_of_the_others() -> None:
    story = asked(rule={"quorum": 2})
    answers(story, ADA, proven=True)
    answers(story, BOB)
    votes = story.all(EventType.APPROVAL_VOTE)
    assert [(vote["voter"], vote.get("proven")) for vote in votes] == [(ADA, True), (BOB, None)]
    rows = [row for decision in story.decisions for row in decision.audits]
    told = [row.details.get("proven") for row in rows if row.action is AuditAction.APPROVAL_VOTE]
    assert told == [True, None]
    assert "proven" not in story.one(EventType.TOOL_APPROVAL_RESULT)


@pytest.mark.parametrize(("proven", "is_asked"), [(False, True), (True, False)])
def test_a_rule_can_tell_a_sender_who_has_signed_in_from_a_name_that_a_key_gives(proven: bool, is_asked: bool) -> None:
    """Through the queue, and through the snapshot between two runs."""
    story = Story()
    story.says("first")
    for text in ("second", "third"):
        message = Message(message_id=MessageId(story.fresh()), text=text, operator=ADA, proven=proven)
        story.command(CommandKind.MESSAGE, message)
    story.acts(CommandKind.CANCEL)
    story.acts(CommandKind.CANCEL)
    rule = ApprovalRule(id="r", when=f"!(run.requestedSignedIn && run.requestedBy == '{ADA}')")
    story.prepared(runtime_policy=RuntimePolicy(runtime_approval=RuntimeApproval(rules=(rule,))))
    story.planned(PLAN, facts("pay"))
    assert bool(story.all(EventType.TOOL_APPROVAL_REQUIRED)) is is_asked
    assert story.replayed() == story.state


# ── what was recorded before ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["asked_about_a_call", "approved_call"])
def test_a_journal_from_before_holds_votes_that_nobody_has_proven(name: str) -> None:
    golden = Golden.load(name, 2)
    assert "proven" not in json.dumps(golden.events).lower()
    assert "signed" not in json.dumps(golden.events).lower()
    until_vote = next(event["seq"] for event in golden.events if event["type"] == "approval_vote")
    run = state_after([event for event in golden.events if event["seq"] <= until_vote], 2).run
    assert run is not None
    assert run.question is not None
    assert [vote.proven for vote in run.question.ballot.votes] == [False]
    assert not run.question.ballot.signed_in_only
    assert not run.requested_signed_in


def test_whom_a_vote_from_before_names_still_votes_signed_in() -> None:
    """An upgrade between two votes: the first was recorded when nobody asked who was proven."""
    golden = Golden.load("asked_about_a_call", 2)
    story = Story(state=state_after(golden.events, 2))
    asked_ = [event for event in golden.events if event["type"] == "tool_approval_required"][-1]
    correlation = asked_["payload"]["correlationId"]
    story.ids = 5_000
    story.acts(CommandKind.APPROVE_TOOL, correlation_id=correlation, actor="ann", operator="ann", proven=True)
    assert story.state.run is not None
    assert story.state.run.question is not None
    assert [(vote.voter, vote.proven) for vote in story.state.run.question.ballot.votes] == [("ann", True)]
    assert state_after([*golden.events, *dump(story.events)]) == story.state


def test_a_command_that_was_queued_before_is_a_claim_and_what_is_not_proven_is_written_as_it_was() -> None:
    before = {"actor": "ann", "operator": "ann"}
    for action in (Action.model_validate(before), Action(**before)):
        assert not action.proven
        assert "proven" not in action.model_dump(mode="json")
    assert Action(proven=True).model_dump(mode="json")["proven"] is True


def test_a_policy_without_the_setting_has_the_version_that_it_had() -> None:
    """What was approved before an upgrade is approved after it: an approval is bound to the policy's version."""
    run = asked().state.run
    assert run is not None
    assert run.settings is not None
    before = {name: value for name, value in RuntimePolicy().model_dump(mode="json").items() if "signed" not in name}
    assert RuntimePolicy().model_dump(mode="json") == before
    strict = run.settings.runtime_policy.model_copy(update={"signed_in_approvers_only": True})
    demanding = run.settings.model_copy(update={"runtime_policy": strict})
    assert policy_version(run.settings) != policy_version(demanding)
