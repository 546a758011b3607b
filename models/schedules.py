"""Scheduled jobs: a prompt that is sent later, once or again and again."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from models.base import Frozen, JsonObject


class JobTarget(StrEnum):
    NEW_SESSION_PROMPT = "new_session_prompt"
    RESUME_SESSION = "resume_session"


class JobState(StrEnum):
    """What the scheduler has done with a job."""

    SCHEDULED = "scheduled"
    DISPATCHED = "dispatched"  # its last occurrence was sent
    FAILED = "failed"  # given up
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """What people see: a dispatched job is as far as the run that it opened."""

    SCHEDULED = "scheduled"
    DISPATCHED = "dispatched"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Frequency(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def iso(self) -> int:
        """1 = Monday … 7 = Sunday, as `date.isoweekday()` counts."""
        return list(Weekday).index(self) + 1


class Recurrence(Frozen):
    """When a job occurs, on the clocks of one IANA zone. Hourly rules have no `hour`, only weekly ones have `weekdays`.

    No occurrence lies before `start_at` or after `end_at`.
    """

    frequency: Frequency
    timezone: str
    minute: int = Field(default=0, ge=0, le=59)
    hour: int | None = Field(default=None, ge=0, le=23)
    weekdays: tuple[Weekday, ...] = ()
    start_at: datetime | None = None
    end_at: datetime | None = None


class JobPayload(Frozen):
    """What a job carries, encrypted as a whole. `secrets` is emptied when the job has ended; their names stay."""

    prompt: str
    name: str = ""
    context_vars: JsonObject = Field(default_factory=dict)
    metadata: JsonObject = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)
    created_by: str = ""
    operator: str = ""  # the person behind it, as in models.commands.Message
    proven: bool = Field(default=False, exclude_if=lambda proven: not proven)  # as there
    by_plan: bool = Field(default=False, exclude_if=lambda by_plan: not by_plan)  # as there
