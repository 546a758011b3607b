"""`settings.runtimePolicy` on the wire: every condition is compiled when it is set, and a fault has its place."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints

from models.runtime_policy import (
    ApprovalRule,
    PlanApprovalRules,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SafetyConstraint,
    SlotRules,
)
from planvault.errors import FieldError, InvalidInput
from planvault.policy.cel import MAX_SOURCE, compiled
from planvault.policy.voting import person
from serve_apps.schemas.base import Body, Text


def _condition(source: str) -> str:
    compiled(source)  # its refusal is a ValueError that says what to write instead
    return source


Condition = Annotated[
    Text,
    StringConstraints(max_length=MAX_SOURCE, pattern=r"\S"),
    AfterValidator(_condition),
    Field(description="CEL over the call: `args.amount > 1000`. See docs/approvals.md."),
]
RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Glob = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Message = Annotated[Text, StringConstraints(max_length=500)]
Param = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
GroupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
OperatorId = Annotated[
    Text, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Seconds = Annotated[StrictInt, Field(ge=1, le=31_536_000)]
Quorum = Annotated[StrictInt, Field(ge=1, le=20)]
Tools = Annotated[list[Glob], Field(min_length=1, max_length=50, description="Globs over tool names.")]
Groups = Annotated[list[GroupName], Field(max_length=20, description="Who may decide; empty: anybody who may act.")]


class ApprovalRuleIn(Body):
    id: RuleId
    tools: Tools = Field(default_factory=lambda: ["*"])
    when: Condition = "true"
    message: Message = ""
    display_params: Annotated[list[Param], Field(max_length=50)] | None = None
    groups: Groups = Field(default_factory=list)
    quorum: Quorum = 1
    expires_in_seconds: Seconds | None = None


class SafetyConstraintIn(Body):
    id: RuleId
    tools: Tools = Field(default_factory=lambda: ["*"])
    when: Condition = "true"
    message: Message = ""


class RuntimeApprovalIn(Body):
    rules: list[ApprovalRuleIn] = Field(default_factory=list, max_length=50)
    expires_in_seconds: Seconds | None = Field(default=None, description="Default: seven days.")


class RuntimeSafetyIn(Body):
    constraints: list[SafetyConstraintIn] = Field(default_factory=list, max_length=50)


class PlanApprovalIn(Body):
    groups: Groups = Field(default_factory=list)
    quorum: Quorum = 1
    expires_in_seconds: Seconds | None = None


class SlotsIn(Body):
    expires_in_seconds: Seconds | None = None


class RuntimePolicyIn(Body):
    runtime_approval: RuntimeApprovalIn = RuntimeApprovalIn()
    runtime_safety: RuntimeSafetyIn = RuntimeSafetyIn()
    plan_approval: PlanApprovalIn = PlanApprovalIn()
    slots: SlotsIn = SlotsIn()
    groups: dict[GroupName, Annotated[list[OperatorId], Field(max_length=100)]] = Field(
        default_factory=dict, max_length=50, description="Name → operator ids, as X-Operator-Id spells them."
    )
    forbid_self_approval: StrictBool = False
    signed_in_approvers_only: StrictBool = Field(
        default=False, description="Whom an issuer has signed in may approve; a name that a key's holder gives may not."
    )

    def policy(self, pointer: str, organization: RuntimePolicy) -> RuntimePolicy:
        """`organization`: what holds in the project as well, an empty one for its own. Raises InvalidInput."""
        faults = tuple(_faults(self, pointer, {**self._members(), **organization.groups}, organization.plan_approval))
        if faults:
            raise InvalidInput("The runtime policy is not valid; `errors` names every fault.", errors=faults)
        approval, safety = self.runtime_approval, self.runtime_safety
        return RuntimePolicy(
            runtime_approval=RuntimeApproval(
                rules=tuple(ApprovalRule.model_validate(rule.model_dump()) for rule in approval.rules),
                expires_in_seconds=approval.expires_in_seconds,
            ),
            runtime_safety=RuntimeSafety(
                constraints=tuple(SafetyConstraint.model_validate(each.model_dump()) for each in safety.constraints)
            ),
            plan_approval=PlanApprovalRules.model_validate(self.plan_approval.model_dump()),
            slots=SlotRules.model_validate(self.slots.model_dump()),
            groups=self._members(),
            forbid_self_approval=self.forbid_self_approval,
            signed_in_approvers_only=self.signed_in_approvers_only,
        )

    def _members(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(members) for name, members in self.groups.items()}


def _faults(
    policy: RuntimePolicyIn, pointer: str, groups: Mapping[str, tuple[str, ...]], above: PlanApprovalRules
) -> Iterator[FieldError]:
    rules, constraints = policy.runtime_approval.rules, policy.runtime_safety.constraints
    yield from _doubles([rule.id for rule in rules], f"{pointer}/runtimeApproval/rules")
    yield from _doubles([each.id for each in constraints], f"{pointer}/runtimeSafety/constraints")
    ours = policy.plan_approval
    both = PlanApprovalIn(groups=list(above.groups) or ours.groups, quorum=max(above.quorum, ours.quorum))
    where = f"{pointer}/planApproval"
    yield from list(_voters(ours, where, groups)) or _voters(both, where, groups)
    for position, rule in enumerate(rules):
        yield from _voters(rule, f"{pointer}/runtimeApproval/rules/{position}", groups)


def _doubles(ids: list[str], pointer: str) -> Iterator[FieldError]:
    counted = Counter(ids)
    for position, each in enumerate(ids):
        if counted[each] > 1 and ids.index(each) != position:
            yield FieldError(f"{pointer}/{position}/id", f"{each} is used twice; ids tell rules apart in the record")


def _voters(
    rule: ApprovalRuleIn | PlanApprovalIn, pointer: str, groups: Mapping[str, tuple[str, ...]]
) -> Iterator[FieldError]:
    for position, group in enumerate(rule.groups):
        if group not in groups:
            known = ", ".join(sorted(groups)) or "none"
            yield FieldError(f"{pointer}/groups/{position}", f"no group is named {group}; there are: {known}")
    people = {person(member) for group in rule.groups for member in groups.get(group, ())}
    if rule.groups and all(group in groups for group in rule.groups) and len(people) < rule.quorum:
        yield FieldError(
            f"{pointer}/quorum", f"{rule.quorum} people have to approve, and the groups name {len(people)}"
        )
