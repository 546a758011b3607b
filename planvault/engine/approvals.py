"""Votes on a plan or on a tool call: whose count, when they are enough, and what follows."""

from __future__ import annotations

from typing import Any

from models.audit import AuditAction
from models.commands import Action, Command
from models.events import EventType
from models.runs import RunStatus
from planvault.engine.calls import proceed
from planvault.engine.copies import replace
from planvault.engine.lifecycle import cancel, interrupt
from planvault.engine.planning import begin
from planvault.engine.questions import Question, QuestionKind
from planvault.engine.recorder import Recorder
from planvault.engine.rules import standing
from planvault.policy.voting import Refusal, Voter, approval_refused, identity, rejection_refused


def approve(rec: Recorder, command: Command, action: Action, kind: QuestionKind) -> None:
    """Count one approval; with the last one that is needed the run goes on."""
    question = _open(rec, command, action, kind)
    if question is None:
        return
    voter = _voter(action)
    refused = approval_refused(question.ballot, voter)
    if refused is not None:
        _refuse(rec, command, refused)
        return
    ballot = question.ballot.with_vote(voter)
    if len(ballot.votes) > 1 or not ballot.is_carried:
        told = {**_subject(rec, question), "actor": action.actor, "voter": identity(voter), "reason": action.reason}
        told |= _proven(action)
        rec.emit(EventType.APPROVAL_VOTE, {**told, "votes": len(ballot.votes), "quorum": ballot.quorum})
        rec.audit(AuditAction.APPROVAL_VOTE, told)
    if not ballot.is_carried:
        rec.repend(replace(question, ballot=ballot).pending())
        return
    actors = [vote.actor for vote in ballot.votes]
    _tell_result(rec, question, action, approved=True, approvers=actors)
    if kind is QuestionKind.PLAN:
        begin(rec)
    else:
        rec.status(RunStatus.EXECUTING)
        proceed(rec)


def reject(rec: Recorder, command: Command, action: Action, kind: QuestionKind) -> None:
    """One rejection ends the run."""
    question = _open(rec, command, action, kind)
    if question is None:
        return
    refused = rejection_refused(question.ballot, _voter(action))
    if refused is not None:
        _refuse(rec, command, refused)
        return
    _tell_result(rec, question, action, approved=False, approvers=[])
    cancel(rec, "plan rejected" if kind is QuestionKind.PLAN else "tool call rejected")


def approval_expired(rec: Recorder) -> None:
    """Nobody, or not enough people, answered in time."""
    question = rec.run.question
    if question is not None:
        rec.audit(
            AuditAction.APPROVAL_EXPIRED,
            {
                "actor": "clock",
                **_subject(rec, question),
                "approvers": [vote.actor for vote in question.ballot.votes],
            },
        )
    interrupt(rec, "approval_expired")


def _voter(action: Action) -> Voter:
    return Voter(action.operator, action.actor, action.proven)


def _proven(action: Action) -> dict[str, Any]:
    """Told only where an issuer has signed the person in: what is not said is not proven, in older records too."""
    return {"proven": True} if action.proven else {}


def _open(rec: Recorder, command: Command, action: Action, kind: QuestionKind) -> Question | None:
    """The question that the action answers; None where it answers another, or none, and the record says so."""
    run = rec.run
    what = "plan" if kind is QuestionKind.PLAN else "tool call"
    question = run.question
    if run.status is RunStatus.AWAITING_CONFIRMATION and question is None:
        question = Question(QuestionKind.PLAN, run.plan_hash or "")  # asked under version 1 of the record
    if run.status is not RunStatus.AWAITING_CONFIRMATION or question is None or question.kind is not kind:
        rec.refuse(command, f"the run is {run.status.value}, no {what} waits for approval")
    elif run.expires_at is not None and run.expires_at <= rec.now:
        rec.refuse(command, f"the question expired at {run.expires_at.isoformat()}")
    elif kind is QuestionKind.PLAN and action.plan_hash not in (None, question.bound_to):
        rec.refuse(command, "the approval is for another plan than the one that waits")
    elif kind is QuestionKind.TOOL and action.correlation_id != question.correlation_id:
        rec.refuse(command, "the answer is for another tool call than the one that waits")
    else:
        return question
    return None


def _refuse(rec: Recorder, command: Command, refused: Refusal) -> None:
    rec.refuse(command, refused.why, refused.code.value)


def _tell_result(rec: Recorder, question: Question, action: Action, *, approved: bool, approvers: list[str]) -> None:
    told = {
        **_subject(rec, question),
        "approved": approved,
        "approvalSource": "human",
        "actor": action.actor,
        "reason": action.reason,
        **_proven(action),
    }
    if len(approvers) > 1:
        told["approvers"] = approvers
    if question.kind is QuestionKind.PLAN:
        rec.emit(EventType.CONFIRM_PLAN_RESULT, told)
        rec.audit(AuditAction.PLAN_APPROVED if approved else AuditAction.PLAN_REJECTED, told)
    else:
        rec.emit(EventType.TOOL_APPROVAL_RESULT, told)
        rec.audit(AuditAction.TOOL_APPROVED if approved else AuditAction.TOOL_REJECTED, told)


def _subject(rec: Recorder, question: Question) -> dict[str, Any]:
    """What was decided about, as events and the audit log name it."""
    subject: dict[str, Any] = {"runId": rec.run.name}
    if question.kind is QuestionKind.PLAN:
        return {**subject, "planHash": question.bound_to}
    stop = standing(rec.run)
    return {
        **subject,
        "correlationId": question.correlation_id,
        "tool": stop.node.tool,
        "nodeId": stop.node.id,
        "paramsHash": question.bound_to,
    }
