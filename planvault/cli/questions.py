"""What a waiting run asks, in words; and who answers."""

from datetime import UTC, datetime
from typing import Protocol

from models.base import JsonObject, JsonValue

NEEDS_OPERATOR = "needs_manual_recovery"


class Answers(Protocol):
    """Who answers a run's questions: a person at the terminal, or a rule that says what it did."""

    def approve(self, question: JsonObject) -> bool:
        """`confirm_plan_required`'s data: tools, plan graph, hash."""
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
            return f"plan: {', '.join(map(str, tools)) if isinstance(tools, list) else ''}"
        case "recovery":
            return f"recovery: {pending.get('tool')} ({pending.get('nodeId')})"
        case other:
            return str(other)


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


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:  # a newer platform's spelling: as it is
        return text
