"""What is asked about, what is refused, and who may answer: `settings.runtimePolicy` (docs/approvals.md)."""

from pydantic import Field

from models.base import Frozen

EXPIRES_IN_SECONDS = 7 * 24 * 3_600
"""How long a question waits for its answer where neither organisation nor project says."""


class ApprovalRule(Frozen):
    """A call that matches waits for people. `when` is CEL over the call's resolved parameters."""

    id: str
    tools: tuple[str, ...] = ("*",)  # globs over tool names
    when: str = "true"
    message: str = ""  # shown to whoever decides
    display_params: tuple[str, ...] | None = None  # of the parameters, only these are shown; None: all
    groups: tuple[str, ...] = ()  # who may decide; empty: anybody who may act in the session
    quorum: int = 1  # how many different people have to approve
    expires_in_seconds: int | None = None  # None: the policy's


class SafetyConstraint(Frozen):
    """A call that matches is never made, and nobody is asked."""

    id: str
    tools: tuple[str, ...] = ("*",)
    when: str = "true"
    message: str = ""


class RuntimeApproval(Frozen):
    rules: tuple[ApprovalRule, ...] = ()
    expires_in_seconds: int | None = None


class RuntimeSafety(Frozen):
    constraints: tuple[SafetyConstraint, ...] = ()


class PlanApprovalRules(Frozen):
    """Who approves a plan that has to be approved, and for how long it is asked."""

    groups: tuple[str, ...] = ()
    quorum: int = 1
    expires_in_seconds: int | None = None


class SlotRules(Frozen):
    expires_in_seconds: int | None = None


class RuntimePolicy(Frozen):
    """Of an organisation or a project; `planvault.policy.effective` joins the two."""

    runtime_approval: RuntimeApproval = RuntimeApproval()
    runtime_safety: RuntimeSafety = RuntimeSafety()
    plan_approval: PlanApprovalRules = PlanApprovalRules()
    slots: SlotRules = SlotRules()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # name → operator ids
    forbid_self_approval: bool = False  # whoever sent the prompt decides nothing that its run asks
    # Only people whom an issuer has signed in approve; a name that the holder of a key gives counts for nobody. Told
    # only where it is so: a policy without it is recorded, and hashed for approvals, as it always was.
    signed_in_approvers_only: bool = Field(default=False, exclude_if=lambda only: not only)
