"""What a waiting run asks, in words; and who answers."""

import json
from datetime import UTC, datetime
from typing import Protocol

from models.base import JsonObject, JsonValue

NEEDS_OPERATOR = "needs_manual_recovery"
NEEDS_APPROVAL = "awaiting_confirmation"


class Answers(Protocol):
    """Who answers a run's questions: a person at the terminal, or a rule that says what it did."""

    def approve(self, question: JsonObject) -> bool:
        """`confirm_plan_required`'s data: tools, plan graph, hash."""
        ...

    def approve_call(self, question: JsonObject) -> bool:
        """`tool_approval_required`'s data: tool, what is shown of its parameters, the rules that ask."""
        ...

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        """Variable → value for `{variable, prompt, options, type}`; None cancels.

        `problems` is what was wrong with the values given before, empty at the first asking.
        """
        ...

    def recover(self, question: JsonObject, problems: list[str]) -> JsonObject | None:
        """The wire fields of `resolve` (`resolution`, `result`, `reason`); None leaves the run as it is.

        `question` is the run's pending `{tool, nodeId, message, retryNotBefore}`; `problems` is why the resolution
        given before was refused, empty at the first asking.
        """
        ...


def in_short(pending: JsonValue) -> str:
    """A run's pending question in one cell of a table; empty where it asks nothing."""
    if not isinstance(pending, dict):
        return ""
    match pending.get("kind"):
        case "slots":
            slots = pending.get("slots")
            asked = slots if isinstance(slots, list) else []
            return f"slots: {', '.join(str(slot.get('variable')) for slot in asked if isinstance(slot, dict))}"
        case "plan":
            tools = pending.get("tools")
            return f"plan: {', '.join(map(str, tools)) if isinstance(tools, list) else ''}{_votes(pending)}"
        case "tool":
            return f"call: {pending.get('tool')} ({pending.get('nodeId')}){_votes(pending)}"
        case "recovery":
            return f"recovery: {pending.get('tool')} ({pending.get('nodeId')})"
        case other:
            return str(other)


def _votes(pending: JsonObject) -> str:
    """How far a vote of several is."""
    votes, quorum = pending.get("votes"), pending.get("quorum")
    several = isinstance(quorum, int) and quorum > 1 and isinstance(votes, list)
    return f", {len(votes)} of {quorum} approved" if several and isinstance(votes, list) else ""


def approval_lines(question: JsonObject) -> list[str]:
    """Which call waits, with which parameters, which rules ask and who may answer."""
    params = question.get("displayParams")
    lines = [f"approval is asked for the call of {question.get('tool')} ({question.get('nodeId')})"]
    lines += [f"{name}: {_shown(value)}" for name, value in params.items()] if isinstance(params, dict) else []
    rules = question.get("rules")
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict):
            why = " · ".join(str(rule[part]) for part in ("message", "fault") if rule.get(part))
            lines.append(f"rule {rule.get('id')}{': ' if why else ''}{why}")
    groups, quorum = question.get("groups"), question.get("quorum")
    if isinstance(quorum, int) and quorum > 1:
        lines.append(f"{quorum} people have to approve")
    if isinstance(groups, list) and groups:
        lines.append(f"only members of {', '.join(map(str, groups))} count")
    if question.get("expiresAt"):
        lines.append(f"asked until {_moment(str(question['expiresAt']))}")
    return lines


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def recovery_lines(question: JsonObject) -> list[str]:
    """Which call has no known outcome, why, and from when on it may be repeated."""
    lines = [
        f"an operator is needed: nobody knows whether {question.get('tool')} ({question.get('nodeId')}) took effect"
    ]
    if question.get("message"):
        lines.append(str(question["message"]))
    if question.get("retryNotBefore"):
        lines.append(f"a retry opens at {_moment(str(question['retryNotBefore']))}")
    return lines


def how_to_resolve(session_id: str, run_id: str) -> str:
    """The commands that decide on a run that needs an operator; for an error's text."""
    command = f"planvault resolve {session_id} --run {run_id}"
    ways = ("mark-done --result JSON", "retry", "fail --reason TEXT")
    return "\n    ".join(
        (f"Run {run_id} waits for an operator. Decide with one of:", *(f"{command} {way}" for way in ways))
    )


def how_to_approve(session_id: str, run_id: str) -> str:
    """The commands that answer a run which waits for somebody else's approval; for an error's text."""
    ways = (f"planvault {way} {session_id} --operator NAME" for way in ("approve", "reject"))
    return "\n    ".join((f"Run {run_id} waits for somebody's approval:", *ways))


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:  # a newer platform's spelling: as it is
        return text
