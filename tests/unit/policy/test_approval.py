"""Three layers decide whether a plan needs a person: tool, project, session."""

import pytest

from models.policies import PlanApprovalMode
from models.tools import ApprovalPolicy
from planvault.policy.approval import plan_approval

ALWAYS, DEFAULT, AUTO_OK = ApprovalPolicy.ALWAYS, ApprovalPolicy.DEFAULT, ApprovalPolicy.AUTO_OK
REQUIRE, AUTO = PlanApprovalMode.REQUIRE, PlanApprovalMode.AUTO


@pytest.mark.parametrize(
    ("policies", "project", "session", "required", "source"),
    [
        ((), REQUIRE, False, False, "no_effects"),
        ((DEFAULT,), REQUIRE, False, True, "project"),
        ((DEFAULT,), REQUIRE, True, False, "session"),
        ((DEFAULT,), AUTO, False, False, "project"),
        ((DEFAULT,), AUTO, True, False, "session"),
        ((AUTO_OK,), REQUIRE, False, False, "tool"),
        ((AUTO_OK, DEFAULT), REQUIRE, False, True, "project"),
        ((ALWAYS,), REQUIRE, False, True, "tool"),
        ((ALWAYS,), AUTO, True, True, "tool"),
        ((AUTO_OK, ALWAYS), AUTO, False, True, "tool"),
    ],
)
def test_who_decides(
    policies: tuple[ApprovalPolicy, ...], project: PlanApprovalMode, session: bool, required: bool, source: str
) -> None:
    tools = [(f"tool_{number}", policy) for number, policy in enumerate(policies)]
    verdict = plan_approval(tools, project, session)
    assert (verdict.required, verdict.source) == (required, source)


def test_a_blocked_automatic_approval_names_the_tools_that_blocked_it() -> None:
    verdict = plan_approval([("b", ALWAYS), ("a", ALWAYS), ("c", DEFAULT)], AUTO, False)
    assert verdict.blocked_by == ("a", "b")


def test_nothing_was_blocked_where_nothing_was_automatic() -> None:
    assert plan_approval([("a", ALWAYS)], REQUIRE, False).blocked_by == ()
