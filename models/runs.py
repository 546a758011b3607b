"""Runs: one execution of one plan."""

from enum import StrEnum


class RunStatus(StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    AWAITING_SLOTS = "awaiting_slots"
    EXECUTING = "executing"
    AWAITING_EXTERNAL_SIGNAL = "awaiting_external_signal"
    AWAITING_REAUTH = "awaiting_reauth"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NEEDS_MANUAL_RECOVERY = "needs_manual_recovery"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.CANCELLED})


class SessionStatus(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"


class RunPhase(StrEnum):
    """What a run is busy with, for people who watch."""

    SELECTING_TOOLS = "selecting_tools"
    PLANNER_LLM = "planner_llm"
    VALIDATING = "validating"
    EXECUTING = "executing"
    REPLANNING = "replanning"
