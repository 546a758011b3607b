"""What the record's events say about the open question, folded into the run. `planvault.engine.evolve` calls these."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from planvault.engine.copies import replace
from planvault.engine.questions import Question, QuestionKind
from planvault.engine.state import RunState
from planvault.policy.voting import Ballot, Vote

Payload: TypeAlias = Mapping[str, Any]  # of an event: JSON that `planvault.engine` itself wrote


def question_asked(run: RunState, payload: Payload, at: datetime) -> RunState:
    question = Question(
        kind=QuestionKind(payload["kind"]),
        bound_to=payload["boundTo"],
        correlation_id=payload["correlationId"],
        ballot=Ballot.model_validate(payload["ballot"]),
        shown=payload["shown"],
    )
    return replace(run, question=question)


def voted(run: RunState, payload: Payload, at: datetime) -> RunState:
    question = run.question
    if question is None:
        raise AssertionError("a vote is recorded where a question is open")
    vote = Vote(voter=payload["voter"], actor=payload["actor"], proven=payload.get("proven", False))
    ballot = question.ballot.having(vote)
    return replace(run, question=replace(question, ballot=ballot))


def plan_decided(run: RunState, payload: Payload, at: datetime) -> RunState:
    return replace(run, question=None)


def tool_decided(run: RunState, payload: Payload, at: datetime) -> RunState:
    """An approval stays with the run until another call is approved: it speaks of one step only."""
    return replace(run, question=None, approved_call=payload["paramsHash"] if payload["approved"] else None)
