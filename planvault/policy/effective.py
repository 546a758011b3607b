"""The organisation's and the project's runtime policy, joined: the union, the organisation's first. Pure.

A project can ask for more and never for less: its rules are added, the larger quorum and the shorter time count, and a
group that the organisation names is the organisation's.
"""

from __future__ import annotations

from models.runtime_policy import (
    EXPIRES_IN_SECONDS,
    PlanApprovalRules,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SlotRules,
)


def effective(organization: RuntimePolicy, project: RuntimePolicy) -> RuntimePolicy:
    """What holds in the project's runs. Of the groups only those that a rule names: every run records its policy."""
    approval, ours = organization.runtime_approval, project.runtime_approval
    plan, our_plan = organization.plan_approval, project.plan_approval
    groups = {**project.groups, **organization.groups}
    rules = (*approval.rules, *ours.rules)
    named = {group for rule in rules for group in rule.groups} | {*plan.groups, *our_plan.groups}
    return RuntimePolicy(
        runtime_approval=RuntimeApproval(
            rules=rules,
            expires_in_seconds=_shorter(approval.expires_in_seconds, ours.expires_in_seconds),
        ),
        runtime_safety=RuntimeSafety(
            constraints=(*organization.runtime_safety.constraints, *project.runtime_safety.constraints)
        ),
        plan_approval=PlanApprovalRules(
            groups=plan.groups or our_plan.groups,
            quorum=max(plan.quorum, our_plan.quorum),
            expires_in_seconds=_shorter(plan.expires_in_seconds, our_plan.expires_in_seconds),
        ),
        slots=SlotRules(
            expires_in_seconds=_shorter(organization.slots.expires_in_seconds, project.slots.expires_in_seconds)
        ),
        groups={name: members for name, members in groups.items() if name in named},
        forbid_self_approval=organization.forbid_self_approval or project.forbid_self_approval,
        signed_in_approvers_only=organization.signed_in_approvers_only or project.signed_in_approvers_only,
    )


def _shorter(left: int | None, right: int | None) -> int:
    return min((seconds for seconds in (left, right) if seconds is not None), default=EXPIRES_IN_SECONDS)
