"""Stands before every call's first intent: hard denial, then approval by people.

Attempts after the first pass unasked: they make the same call. Whatever changes in what was approved asks again, since
an approval is bound to the hash of the step, the tool at its version, its resolved parameters and the policy.
"""

from __future__ import annotations

from typing import Any

from models.audit import AuditAction
from models.events import EventType
from planvault.engine.asking import ask, ballot_of, requirement
from planvault.engine.lifecycle import fail
from planvault.engine.machine import CallReady
from planvault.engine.questions import Question, QuestionKind
from planvault.engine.recorder import Recorder
from planvault.engine.rules import call_hash, correlation_id, standing, verdict
from planvault.engine.state import RunState
from planvault.policy.display import shown
from planvault.policy.runtime_rules import Allow, Ask, Deny, Matched


def passes(rec: Recorder) -> bool:
    """Whether the call that the machine stands before may begin. Where not, the record says what happens instead."""
    run = rec.run
    call = standing(run)
    match verdict(run, call):
        case Allow():
            return True
        case Deny() as denied:
            _deny(rec, call, denied)
            return False
        case Ask() as asks:
            bound_to = call_hash(run, call, asks)
            if run.approved_call == bound_to:
                return True
            _ask(rec, call, asks, bound_to)
            return False


def _deny(rec: Recorder, call: CallReady, denied: Deny) -> None:
    constraint = denied.constraint
    told: dict[str, Any] = {
        "runId": rec.run.name,
        "tool": call.node.tool,
        "nodeId": call.node.id,
        "constraint": constraint.id,
        "message": constraint.message,
    }
    if denied.fault is not None:
        told["fault"] = denied.fault
    rec.emit(EventType.TOOL_POLICY_DENIED, told)
    rec.audit(AuditAction.TOOL_POLICY_DENIED, {"actor": "policy", **told})
    why = constraint.message or f"constraint {constraint.id} forbids it"
    doubt = "" if denied.fault is None else f" (it could not be judged: {denied.fault})"
    fail(rec, "POLICY_DENIED", f"{call.node.tool} was not called: {why}{doubt}")


def _ask(rec: Recorder, call: CallReady, asks: Ask, bound_to: str) -> None:
    run = rec.run
    params = shown(call.args, _shown_names(asks))
    correlation = correlation_id(run, bound_to)
    told: dict[str, Any] = {
        "correlationId": correlation,
        "tool": call.node.tool,
        "nodeId": call.node.id,
        "iteration": call.iteration,
        "displayParams": params.params,
        "isWhole": params.is_whole,
        "rules": [_told(each) for each in asks.matched],
        "paramsHash": bound_to,
    }
    rules = [each.rule for each in asks.matched]
    demands = [requirement(run, rule.id, rule.quorum, rule.groups) for rule in rules]
    question = Question(QuestionKind.TOOL, bound_to, correlation, ballot_of(run, demands), told)
    ask(rec, question, told, _seconds(run, asks))


def _told(matched: Matched) -> dict[str, Any]:
    told: dict[str, Any] = {"id": matched.rule.id, "message": matched.rule.message}
    if matched.fault is not None:
        told["fault"] = f"the rule could not be judged, so it asks: {matched.fault}"
    return told


def _shown_names(asks: Ask) -> set[str] | None:
    """What any of the rules wants shown; one that names nothing wants everything."""
    names: set[str] = set()
    for each in asks.matched:
        if each.rule.display_params is None:
            return None
        names.update(each.rule.display_params)
    return names


def _seconds(run: RunState, asks: Ask) -> int | None:
    """The shortest time that anybody gives: the rules that matched, or the policy where they say nothing."""
    if run.settings is None:
        raise AssertionError("a run asks under recorded settings")
    usual = run.settings.runtime_policy.runtime_approval.expires_in_seconds
    said = [each.rule.expires_in_seconds or usual for each in asks.matched]
    return min((seconds for seconds in said if seconds is not None), default=None)
