"""Asking people: the event that they see, the question that the engine keeps, the status of the run that waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.events import EventType
from models.runs import RunStatus
from planvault.engine.questions import Question, QuestionKind
from planvault.engine.recorder import Recorder
from planvault.engine.state import RunState
from planvault.policy.voting import Ballot, Requirement, person

_EVENTS = {
    QuestionKind.PLAN: EventType.CONFIRM_PLAN_REQUIRED,
    QuestionKind.TOOL: EventType.TOOL_APPROVAL_REQUIRED,
}


def ask(rec: Recorder, question: Question, told: dict[str, Any], seconds: int | None) -> None:
    """Tell `told` and wait for votes, at most `seconds` (None: without an end)."""
    until = None if seconds is None else rec.now + timedelta(seconds=seconds)
    ballot = question.ballot
    rec.emit(
        _EVENTS[question.kind],
        {
            "runId": rec.run.name,
            **told,
            "quorum": ballot.quorum,
            "groups": list(ballot.groups),
            "expiresAt": None if until is None else until.isoformat(),
        },
    )
    rec.emit(
        EventType.QUESTION_ASKED,
        {
            "kind": question.kind.value,
            "boundTo": question.bound_to,
            "correlationId": question.correlation_id,
            "ballot": ballot.model_dump(mode="json"),
            "shown": question.shown,
        },
    )
    rec.status(RunStatus.AWAITING_CONFIRMATION, pending=question.pending(), expires_at=until)


def ballot_of(run: RunState, requirements: list[Requirement]) -> Ballot:
    """An empty ballot under the run's policy."""
    if run.settings is None:
        raise AssertionError("a run asks under recorded settings")
    policy = run.settings.runtime_policy
    return Ballot(
        requirements=tuple(requirements),
        requested_by=person(run.requested_by),
        forbid_self=policy.forbid_self_approval,
        signed_in_only=policy.signed_in_approvers_only,
    )


def requirement(run: RunState, rule: str, quorum: int, groups: tuple[str, ...]) -> Requirement:
    """Who counts, by name. A group that nobody defined has no members: nobody can answer for it."""
    if run.settings is None:
        raise AssertionError("a run asks under recorded settings")
    if not groups:
        return Requirement(rule=rule, quorum=quorum)
    known = run.settings.runtime_policy.groups
    members = tuple(sorted({person(member) for group in groups for member in known.get(group, ())}))
    return Requirement(rule=rule, quorum=quorum, groups=groups, approvers=members)
