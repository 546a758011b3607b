"""Organisation and project together: a project can ask for more and never for less."""

from models.runtime_policy import (
    EXPIRES_IN_SECONDS,
    ApprovalRule,
    PlanApprovalRules,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SafetyConstraint,
    SlotRules,
)
from planvault.policy.effective import effective


def test_rules_are_joined_the_organisation_s_first() -> None:
    org = RuntimePolicy(
        runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="org"),)),
        runtime_safety=RuntimeSafety(constraints=(SafetyConstraint(id="org"),)),
    )
    project = RuntimePolicy(
        runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="project"),)),
        runtime_safety=RuntimeSafety(constraints=(SafetyConstraint(id="project"),)),
    )
    both = effective(org, project)
    assert [rule.id for rule in both.runtime_approval.rules] == ["org", "project"]
    assert [each.id for each in both.runtime_safety.constraints] == ["org", "project"]


def test_a_project_cannot_loosen_what_the_organisation_demands() -> None:
    org = RuntimePolicy(
        plan_approval=PlanApprovalRules(groups=("ops",), quorum=2, expires_in_seconds=60),
        groups={"ops": ("bob",)},
        forbid_self_approval=True,
    )
    project = RuntimePolicy(
        plan_approval=PlanApprovalRules(groups=("us",), quorum=1, expires_in_seconds=3_600),
        groups={"ops": ("mallory",), "us": ("eve",)},
    )
    both = effective(org, project)
    assert both.plan_approval == PlanApprovalRules(groups=("ops",), quorum=2, expires_in_seconds=60)
    assert both.groups == {"ops": ("bob",), "us": ("eve",)}
    assert both.forbid_self_approval


def test_a_time_that_nobody_set_is_a_week() -> None:
    both = effective(RuntimePolicy(), RuntimePolicy(slots=SlotRules(expires_in_seconds=5)))
    assert both.runtime_approval.expires_in_seconds == EXPIRES_IN_SECONDS
    assert both.plan_approval.expires_in_seconds == EXPIRES_IN_SECONDS
    assert both.slots.expires_in_seconds == 5
