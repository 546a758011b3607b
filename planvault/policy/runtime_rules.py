"""Runtime approval and hard denial: what the policy says about one call with its resolved parameters. Pure.

A condition that has no answer (a parameter is missing, a type is another) counts as met, and the verdict says so: a
constraint then denies, an approval rule asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from models.runtime_policy import ApprovalRule, RuntimePolicy, SafetyConstraint
from planvault.policy.call_facts import CallFacts
from planvault.policy.cel import ConditionFailed, Examination


@dataclass(frozen=True, slots=True)
class Allow:
    """No rule speaks of the call."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The call is never made. `fault`: why the constraint could not be judged, None where it was."""

    constraint: SafetyConstraint
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    rule: ApprovalRule
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """People decide; every rule that matched has its own say on who."""

    matched: tuple[Matched, ...]


Verdict: TypeAlias = Allow | Deny | Ask


def judge(policy: RuntimePolicy, call: CallFacts) -> Verdict:
    """The first constraint that holds denies; otherwise all approval rules that hold ask together."""
    examination = Examination(call)
    for constraint in policy.runtime_safety.constraints:
        met, fault = _met(constraint, call.tool, examination)
        if met:
            return Deny(constraint, fault)
    found: list[Matched] = []
    for rule in policy.runtime_approval.rules:
        met, fault = _met(rule, call.tool, examination)
        if met:
            found.append(Matched(rule, fault))
    return Ask(tuple(found)) if found else Allow()


def _met(rule: ApprovalRule | SafetyConstraint, tool: str, examination: Examination) -> tuple[bool, str | None]:
    if not any(fnmatchcase(tool, glob) for glob in rule.tools):
        return False, None
    try:
        return examination.holds(rule.when), None
    except ConditionFailed as fault:
        return True, str(fault)
