"""The session's append-only record.

*History* events are what users see. *Engine* events (the journal: intents, recorded outputs, snapshots) are what
recovery needs, and expire soon after the run.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.base import JsonObject
from models.ids import RunId, SessionId

# Raised when an event's payload or meaning changes so that older code must not read it (docs/events.md).
SCHEMA_VERSION = 2


class Visibility(StrEnum):
    HISTORY = "history"
    ENGINE = "engine"


class EventType(StrEnum):
    # History, and on SSE.
    STARTED = "started"
    RUN_PHASE = "run_phase"
    RUN_STATUS = "run_status"
    SLOTS_REQUIRED = "slots_required"
    SLOTS_PLAN_SUMMARY = "slots_plan_summary"
    CONFIRM_PLAN_REQUIRED = "confirm_plan_required"
    CONFIRM_PLAN_RESULT = "confirm_plan_result"
    TOOL_APPROVAL_REQUIRED = "tool_approval_required"
    TOOL_APPROVAL_RESULT = "tool_approval_result"
    TOOL_POLICY_DENIED = "tool_policy_denied"
    TOOL_START = "tool_start"
    TOOL_END = "tool_end"
    BRANCH_TAKEN = "branch_taken"
    REPLAN = "replan"
    APPROVAL_VOTE = "approval_vote"
    AWAITING_SIGNAL = "awaiting_signal"
    SIGNAL_RECEIVED = "signal_received"
    SIGNAL_TIMED_OUT = "signal_timed_out"
    ACTION_REFUSED = "action_refused"
    ERROR = "error"
    DONE = "done"
    # History only.
    PROMPT = "prompt"
    TOOL_SELECTION = "tool_selection"
    PLAN_SUMMARY = "plan_summary"
    SLOTS_CANCELLED = "slots_cancelled"
    LLM_REPLY = "llm_reply"
    # Engine.
    RUN_OPENED = "run_opened"
    EFFECT_INTENDED = "effect_intended"
    EFFECT_RECORDED = "effect_recorded"
    AHEAD_INTENDED = "ahead_intended"
    AHEAD_RECORDED = "ahead_recorded"
    WAIT_BEGUN = "wait_begun"
    SIGNAL_KEPT = "signal_kept"
    CREDENTIALS_CHANGED = "credentials_changed"
    DEADLINE_PASSED = "deadline_passed"
    QUESTION_ASKED = "question_asked"
    SLOTS_FILLED = "slots_filled"
    CANCEL_REQUESTED = "cancel_requested"
    COMMAND_REFUSED = "command_refused"
    SESSION_CLOSED = "session_closed"
    SNAPSHOT = "snapshot"


HISTORY_ONLY = frozenset(
    {
        EventType.PROMPT,
        EventType.TOOL_SELECTION,
        EventType.PLAN_SUMMARY,
        EventType.SLOTS_CANCELLED,
        EventType.LLM_REPLY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of the record; `seq` is gapless in its session, starting at 1."""

    session_id: SessionId
    seq: int
    type: EventType
    visibility: Visibility
    at: datetime
    run_id: RunId | None = None
    payload: JsonObject
