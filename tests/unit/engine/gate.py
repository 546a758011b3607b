"""Runs that stand at the gate before a call, and the answers that people give there."""

from typing import Any

from models.audit import AuditAction
from models.commands import CommandKind, Message
from models.events import EventType
from models.ids import MessageId
from models.plans import Lit, Plan
from models.runtime_policy import (
    ApprovalRule,
    RuntimeApproval,
    RuntimePolicy,
    RuntimeSafety,
    SafetyConstraint,
)
from models.tools import Idempotency
from tests.unit.engine.plans import call, plan, reply, var
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
