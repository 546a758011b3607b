"""Plan approval in three layers: tool, project, session (features H1). Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from models.policies import PlanApprovalMode
from models.tools import ApprovalPolicy


class PlanApproval(NamedTuple):
    """`required`, or approved by `source`. `blocked_by` names the tools that stopped an automatic approval."""

    required: bool
    source: str
    blocked_by: tuple[str, ...] = ()
    wanted: str = ""  # … and whose automatic approval that was


def plan_approval(
    tools: Iterable[tuple[str, ApprovalPolicy]], project: PlanApprovalMode, session_auto_approve: bool
) -> PlanApproval:
    """Does a plan that calls these tools (name, policy) need a person?

    A tool with `always` asks whatever project and session say. Then the session's `autoApprovePlan`, then the
    project's mode decide; in a project that requires approval, a plan of `auto_ok` tools alone still passes.
    """
    called = list(tools)
    if not called:
        return PlanApproval(False, "no_effects")
    always = tuple(sorted({name for name, policy in called if policy is ApprovalPolicy.ALWAYS}))
    wanted = _automatic_source(called, project, session_auto_approve)
    if always:
        return PlanApproval(True, "tool", blocked_by=always if wanted else (), wanted=wanted or "")
    return PlanApproval(False, wanted) if wanted else PlanApproval(True, "project")


def _automatic_source(
    called: list[tuple[str, ApprovalPolicy]], project: PlanApprovalMode, session_auto_approve: bool
) -> str | None:
    if session_auto_approve:
        return "session"
    if project is PlanApprovalMode.AUTO:
        return "project"
    if all(policy is ApprovalPolicy.AUTO_OK for _, policy in called):
        return "tool"
    return None
