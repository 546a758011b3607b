"""From a prompt to a plan that may run: selection, plan, slots, approval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

from models.audit import AuditAction
from models.base import JsonObject, JsonValue
from models.events import EventType
from models.planning import Selection
from models.plans import Plan, Slot
from models.runs import RunPhase, RunStatus
from models.values import Value
from planvault.engine.asking import ask, ballot_of, requirement
from planvault.engine.calls import follow
from planvault.engine.inputs import Planned, Prepared
from planvault.engine.lifecycle import fail, intend, phase
from planvault.engine.questions import Question, QuestionKind
from planvault.engine.recorder import Recorder
from planvault.engine.state import RunState, ToolFacts
from planvault.plan.graph import plan_graph
from planvault.plan.hashing import canonical_hash
from planvault.policy.approval import plan_approval
from planvault.policy.display import shown

SCENARIOS_TOLD = 5


def prepared(rec: Recorder, result: Prepared) -> None:
    run, selection = rec.run, result.selection
    pins = [{"id": str(item.tool_id), "version": item.version, "name": item.name} for item in selection.shortlist]
    # What the planner is told beyond the tools is recorded with them: whoever plans again is told the same.
    instruction = {"instruction": selection.instruction} if selection.instruction else {}
    rec.emit(
        EventType.EFFECT_RECORDED,
        {
            "effectId": f"{run.name}:prepare",
            "kind": "prepare",
            "pins": pins,
            "settings": result.settings.model_dump(mode="json"),
            **instruction,
        },
    )
    rec.emit(EventType.TOOL_SELECTION, {"runId": run.name, **selection_told(selection)})
    phase(rec, RunPhase.PLANNER_LLM, f"Planning over {len(pins)} tools")
    intend(rec, f"{run.name}:plan", "plan", 1)


def selection_told(selection: Selection) -> JsonObject:
    """What history keeps of a selection: the shortlist, at most 200 names with what their scores are made of."""
    shortlist: list[JsonValue] = [
        {
            "tool": item.name,
            "group": item.group,
            "score": item.score,
            "scores": {name: part for name, part in item.scores.items() if part},
        }
        for item in selection.shortlist
    ]
    told: JsonObject = {
        "tier": selection.tier.value,
        "catalogSize": selection.catalog_size,
        "shortlist": shortlist,
        "timingsMs": dict(selection.timings_ms),
    }
    if selection.scenarios:
        told["scenarios"] = [
            each.model_dump(mode="json", by_alias=True) for each in selection.scenarios[:SCENARIOS_TOLD]
        ]
    if selection.degraded:
        told["degraded"] = list(selection.degraded)
    return told


def planned(rec: Recorder, result: Planned) -> None:
    run, outcome = rec.run, result.outcome
    plan = None if outcome.plan is None else outcome.plan.model_dump(mode="json")
    facts = [item.model_dump(mode="json") for item in result.facts]
    plan_hash = None if plan is None else _hash(plan, facts)
    rec.emit(
        EventType.EFFECT_RECORDED,
        {
            "effectId": f"{run.name}:plan",
            "kind": "plan",
            "plan": plan,
            "planHash": plan_hash,
            "facts": facts,
            "problems": [problem.model_dump(mode="json") for problem in outcome.problems],
        },
    )
    phase(rec, RunPhase.VALIDATING, f"Planner {outcome.planner}, {outcome.attempts} attempt(s)")
    rec.emit(
        EventType.PLAN_SUMMARY,
        {
            "runId": run.name,
            "planner": outcome.planner,
            "mode": outcome.mode.value,
            "promptVersion": outcome.prompt_version,
            "attempts": outcome.attempts,
            "planHash": plan_hash,
            "source": outcome.source,
            "usage": outcome.usage.model_dump(mode="json", by_alias=True),
        },
    )
    if outcome.plan is None:
        faults = "; ".join(problem.message for problem in outcome.problems[:3]) or "the planner gave no plan"
        fail(rec, "PLAN_INVALID", f"No valid plan was found: {faults}", outcome.problems)
        return
    _adopt(rec, outcome.plan)


def _adopt(rec: Recorder, plan: Plan) -> None:
    graph = plan_graph(plan)
    rec.emit(EventType.STARTED, {"planGraph": graph, "runId": rec.run.name})
    if not plan.slots:
        ask_approval(rec)
        return
    slots: list[JsonValue] = [slot_form(slot) for slot in plan.slots]
    seconds = None if rec.run.settings is None else rec.run.settings.runtime_policy.slots.expires_in_seconds
    until = None if seconds is None else rec.now + timedelta(seconds=seconds)
    told = {"planGraph": graph, "slots": slots, "runId": rec.run.name}
    rec.emit(EventType.SLOTS_REQUIRED, {**told, "expiresAt": None if until is None else until.isoformat()})
    rec.status(RunStatus.AWAITING_SLOTS, pending={"kind": "slots", "slots": slots}, expires_at=until)


def slot_form(slot: Slot) -> dict[str, JsonValue]:
    """One field of the form, as `slots_required` shows it. Options are text: clients offer them as typed."""
    options: list[JsonValue] = [option if isinstance(option, str) else str(option) for option in slot.options]
    return {"variable": slot.variable, "prompt": slot.prompt, "options": options, "type": slot.type.value}


def ask_approval(rec: Recorder) -> None:
    """Ask people, or say under which rule nobody was asked, and go on."""
    run = rec.run
    if run.settings is None or run.plan is None:
        raise AssertionError("approval is asked for an adopted plan")
    facts = run.facts.values()
    policies = [(item.pin.name, item.approval_policy) for item in facts]
    by_session = run.settings.auto_approve_plan and not run.by_plan
    verdict = plan_approval(policies, run.settings.plan_approval_mode, by_session)
    if not verdict.required:
        if verdict.source != "no_effects":
            _approved_by_rule(rec, verdict.source)
        begin(rec)
        return
    if verdict.blocked_by:
        blocked = {"actor": "policy", "planHash": run.plan_hash, "blockedBy": list(verdict.blocked_by)}
        rec.audit(AuditAction.PLAN_AUTO_APPROVE_BLOCKED, {**blocked, "approvalSource": verdict.wanted})
    told, rules = _what_is_shown(run), run.settings.runtime_policy.plan_approval
    question = Question(
        QuestionKind.PLAN,
        run.plan_hash or "",
        ballot=ballot_of(run, [requirement(run, "plan", rules.quorum, rules.groups)]),
        shown={"planHash": run.plan_hash, "tools": told["tools"]},
    )
    ask(rec, question, {**told, "blockedBy": list(verdict.blocked_by)}, rules.expires_in_seconds)


def _approved_by_rule(rec: Recorder, source: str) -> None:
    told = {"approvalSource": source, "actor": "policy", "planHash": rec.run.plan_hash}
    rec.emit(EventType.CONFIRM_PLAN_RESULT, {"runId": rec.run.name, "approved": True, **told})
    rec.audit(AuditAction.PLAN_AUTO_APPROVED, {**told, "tools": sorted(rec.run.facts)})


def _what_is_shown(run: RunState) -> dict[str, Any]:
    if run.plan is None:
        raise AssertionError("there is no plan to show")
    names = sorted(run.facts)
    return {
        "tools": names,
        "toolDescriptions": {name: run.facts[name].summary for name in names},
        "planGraph": plan_graph(run.plan),
        "planHash": run.plan_hash,
        "slotValues": _filled(run),
    }


def _filled(run: RunState) -> JsonObject:
    """Every slot's value, each as a parameter is shown."""
    filled = cast("Mapping[str, Value]", run.slot_values or {})
    return {name: part for each, value in filled.items() for name, part in shown({each: value}).params.items()}


def begin(rec: Recorder) -> None:
    phase(rec, RunPhase.EXECUTING, "Running the plan")
    rec.status(RunStatus.EXECUTING)
    follow(rec)


def hash_of(plan: Plan, facts: Iterable[ToolFacts], slot_values: Mapping[str, JsonValue] | None = None) -> str:
    """Binds an approval: the plan, what people filled in, and every tool at its version, risk and idempotency.

    (Invariant 6: whatever changes in what is shown asks again.)
    """
    return _hash(plan.model_dump(mode="json"), [item.model_dump(mode="json") for item in facts], slot_values)


def _hash(plan: JsonObject, facts: Iterable[JsonObject], slot_values: Mapping[str, JsonValue] | None = None) -> str:
    bound: dict[str, Any] = {"plan": plan, "tools": sorted(facts, key=_name)}
    if slot_values is not None:
        bound["slotValues"] = dict(slot_values)
    return canonical_hash(bound)


def _name(facts: JsonObject) -> str:
    pin = facts["pin"]
    assert isinstance(pin, dict)
    return str(pin["name"])
