"""What an ended run says about the choice of its tools. Pure, over what its history shows.

A failure counts only where it speaks about the choice: a service that understood the call and refused it. Nothing is
learned from the platform's own trouble (no provider, no budget, limits, policies), from a service that is away, from
credentials, or from a run that nobody answered or that was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.base import JsonObject, JsonValue
from models.events import EventType
from models.runs import RunStatus
from planvault.storage.feedback import Vote
from planvault.storage.history import HistoryEvent


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    REJECTION = "rejection"  # by a person: of the plan, or of one call
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Lesson:
    """`tools`: what the plan calls, without what it called in vain. `blamed`: what the outcome speaks against.

    `used`: what was called and answered. All by name.
    """

    prompt: str
    outcome: Outcome
    tools: frozenset[str]
    blamed: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Weight:
    successes: float
    failures: float


# A rejection is a person's word, and weighs more than a service's. A dislike outweighs the success that came before it.
OF_OUTCOME: Final = {
    Outcome.SUCCESS: Weight(1.0, 0.0),
    Outcome.FAILURE: Weight(0.0, 1.0),
    Outcome.REJECTION: Weight(0.0, 1.5),
    Outcome.NOTHING: Weight(0.0, 0.0),
}
OF_VOTE: Final = {Vote.LIKE: Weight(1.0, 0.0), Vote.DISLIKE: Weight(0.0, 2.0)}

# What of a run's history a lesson is read from.
TELLING: Final = frozenset(
    {
        EventType.STARTED,
        EventType.TOOL_END,
        EventType.CONFIRM_PLAN_RESULT,
        EventType.TOOL_APPROVAL_RESULT,
        EventType.ERROR,
    }
)
# "This call makes no sense here"; not: not let in, too often, too slow, or broken.
_SPEAKS_OF_CHOICE: Final = frozenset(
    {f"HTTP_{status}" for status in (400, 404, 405, 406, 409, 410, 415, 422)} | {"INVALID_ARGUMENTS"}
)
_TOOL_FAILED: Final = "TOOL_FAILED"


def lesson_of(status: RunStatus, prompt: str | None, events: Sequence[HistoryEvent]) -> Lesson | None:
    """What the run teaches; None where no plan with tools came of the prompt. `events`: the run's, in their order."""
    planned = _planned(events)
    if not prompt or not planned:
        return None
    ends = [event.payload for event in events if event.type is EventType.TOOL_END]
    answered = frozenset(str(end.get("tool")) for end in ends if end.get("ok") is True)
    in_vain = frozenset(str(end.get("tool")) for end in ends) - answered
    blamed = _rejected(events, planned)
    if blamed:
        return Lesson(prompt, Outcome.REJECTION, planned, blamed)
    if status is RunStatus.COMPLETED:
        tools = planned - in_vain
        outcome = Outcome.SUCCESS if tools else Outcome.NOTHING
        return Lesson(prompt, outcome, tools or planned, used=answered & planned)
    blamed = _refused(events, ends) & planned if status is RunStatus.FAILED else frozenset()
    return Lesson(prompt, Outcome.FAILURE if blamed else Outcome.NOTHING, planned, blamed)


def prompt_of(event: HistoryEvent) -> tuple[str, str, str] | None:
    """Run id (may be empty), message id and text of a `prompt` event."""
    if event.type is not EventType.PROMPT:
        return None
    payload = event.payload
    run_id = payload.get("runId") or event.run_id
    return str(run_id or ""), str(payload.get("messageId") or ""), str(payload.get("content") or "")


def _planned(events: Iterable[HistoryEvent]) -> frozenset[str]:
    """Tools of the last plan: a replanned run is judged by what it did in the end."""
    graphs = [event.payload.get("planGraph") for event in events if event.type is EventType.STARTED]
    nodes = graphs[-1].get("nodes") if graphs and isinstance(graphs[-1], dict) else None
    return frozenset(_tools_in(nodes if isinstance(nodes, list) else []))


def _tools_in(nodes: Iterable[JsonValue]) -> Iterable[str]:
    for node in nodes:
        tool = node.get("tool") if isinstance(node, dict) else None
        if isinstance(tool, str):
            yield tool


def _rejected(events: Iterable[HistoryEvent], planned: frozenset[str]) -> frozenset[str]:
    """What people said no to: every tool of a plan, or the one of a call."""
    for event in events:
        no = event.payload.get("approved") is False
        if no and event.type is EventType.CONFIRM_PLAN_RESULT:
            return planned
        if no and event.type is EventType.TOOL_APPROVAL_RESULT:
            return frozenset({str(event.payload.get("tool"))}) & planned
    return frozenset()


def _refused(events: Sequence[HistoryEvent], ends: Sequence[JsonObject]) -> frozenset[str]:
    """The tool whose refusal ended the run."""
    faults = [event.payload.get("code") for event in events if event.type is EventType.ERROR]
    if not faults or faults[-1] != _TOOL_FAILED or not ends:
        return frozenset()
    last = ends[-1]
    return frozenset({str(last.get("tool"))}) if last.get("code") in _SPEAKS_OF_CHOICE else frozenset()
