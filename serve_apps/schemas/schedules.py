"""Scheduled jobs on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field, StrictFloat, StrictInt, StringConstraints

from models.ids import SessionId
from models.policies import SessionSettings
from models.runs import RunStatus
from models.schedules import Frequency, JobStatus, JobTarget, Recurrence, Weekday
from planvault.policy.voting import Voter
from planvault.scheduling.orders import JobOrder, Timing
from planvault.storage.scheduled_jobs import JobRecord, Occurrence
from serve_apps.schemas.base import Body, JsonDocument, Name, Reply, Text
from serve_apps.schemas.messages import MAX_PROMPT
from serve_apps.schemas.sessions import JsonText, Secrets, SessionSettingsIn


def _spelled_out(value: object) -> object:
    """Numbers are no dates here: nobody can tell seconds from milliseconds."""
    if isinstance(value, int | float):
        raise ValueError("must be a date and time as text, such as 2027-03-01T09:00:00Z")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_spelled_out)]


class RecurrenceIn(Body):
    """A rule on the clocks of one zone. Where a change of the clocks leaves the time out, the job runs later by as much
    as they were put forward; where the time comes twice, it runs the first time only. Missed occurrences: the latest
    one is made up for.
    """

    frequency: Frequency
    timezone: Name = Field(description="IANA name, such as Europe/Berlin.")
    minute: StrictInt = Field(default=0, ge=0, le=59)
    hour: StrictInt | None = Field(default=None, ge=0, le=23, description="Daily and weekly rules.")
    weekdays: list[Weekday] = Field(default_factory=list, max_length=7, description="Weekly rules.")
    start_at: Instant | None = Field(default=None, description="No occurrence before; within the horizon.")
    end_at: Instant | None = Field(default=None, description="No occurrence after.")

    def rule(self) -> Recurrence:
        given = set(self.weekdays)
        weekdays = tuple(day for day in Weekday if day in given)
        return Recurrence(**self.model_dump(exclude={"weekdays"}), weekdays=weekdays)


class CreateJob(Body):
    """Exactly one of `runAt`, `delaySeconds` and `recurrence` says when."""

    target: JobTarget = JobTarget.NEW_SESSION_PROMPT
    prompt: Annotated[Text, StringConstraints(min_length=1, max_length=MAX_PROMPT, pattern=r"\S")]
    name: Annotated[Text, StringConstraints(max_length=200, strip_whitespace=True)] = Field(
        default="", description="For people."
    )
    run_at: Instant | None = None
    delay_seconds: StrictFloat | None = Field(default=None, ge=0, allow_inf_nan=False)
    recurrence: RecurrenceIn | None = None
    session_id: UUID | None = Field(default=None, description="The session to resume; only for resume_session.")
    secrets: Secrets = Field(default_factory=dict, description="Stored encrypted, given to the session; never shown.")
    context_vars: Annotated[JsonDocument, JsonText] = Field(
        default_factory=dict, description="Of the session to open, as are tags, metadata, externalUserId and settings."
    )
    external_user_id: Name | None = None
    tags: Annotated[list[Name], JsonText] = Field(default_factory=list, max_length=50)
    metadata: JsonDocument = Field(default_factory=dict)
    settings: SessionSettingsIn = SessionSettingsIn()

    def order(self, speaker: Voter, external_user_hmac: bytes | None) -> JobOrder:
        rule = None if self.recurrence is None else self.recurrence.rule()
        return JobOrder(
            target=self.target,
            prompt=self.prompt,
            timing=Timing(self.run_at, self.delay_seconds, rule),
            session_id=None if self.session_id is None else SessionId(self.session_id),
            name=self.name,
            secrets=self.secrets,
            context_vars=self.context_vars,
            metadata=self.metadata,
            tags=tuple(dict.fromkeys(self.tags)),
            settings=SessionSettings(**self.settings.model_dump()),
            external_user_hmac=external_user_hmac,
            created_by=speaker.actor,
            operator=speaker.operator,
            proven=speaker.proven,
        )


class RecurrenceOut(Reply):
    frequency: Frequency
    timezone: str
    minute: int
    hour: int | None
    weekdays: list[Weekday]
    start_at: datetime | None
    end_at: datetime | None


class OccurrenceOut(Reply):
    """One time that the job was due: sent to a session, or given up."""

    due_at: datetime
    at: datetime = Field(description="When it was sent or given up.")
    session_id: UUID | None
    message_id: UUID | None
    run_id: UUID | None = Field(description="The run that answers the prompt, once it is open.")
    run_status: RunStatus | None
    error: str | None

    @classmethod
    def of(cls, occurrence: Occurrence) -> "OccurrenceOut":
        return cls(
            due_at=occurrence.due_at,
            at=occurrence.at,
            session_id=occurrence.session_id,
            message_id=occurrence.message_id,
            run_id=occurrence.run_id,
            run_status=occurrence.run_status,
            error=occurrence.error,
        )


class JobOut(Reply):
    id: UUID
    name: str
    target: JobTarget
    status: JobStatus = Field(
        description="dispatched: sent, its run is not at its end; completed, failed: how that run ended, or why none "
        "came about (`lastError`). A recurring job stays scheduled while an occurrence is left."
    )
    run_at: datetime = Field(description="The next occurrence; of an ended job its last.")
    recurrence: RecurrenceOut | None
    prompt: str
    session_id: UUID | None = Field(description="The session to resume.")
    context_vars: JsonDocument
    metadata: JsonDocument
    tags: list[str]
    settings: SessionSettings
    has_external_user: bool
    secret_names: list[str]
    attempts: int = Field(description="Failed attempts to send the occurrence that is due.")
    last_error: str | None
    last_occurrence: OccurrenceOut | None
    created_by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: JobRecord) -> "JobOut":
        payload = job.payload
        return cls(
            id=job.id,
            name=payload.name,
            target=job.target,
            status=job.status,
            run_at=job.run_at,
            recurrence=None if job.rule is None else RecurrenceOut.model_validate(job.rule.model_dump()),
            prompt=payload.prompt,
            session_id=job.session_id,
            context_vars=payload.context_vars,
            metadata=payload.metadata,
            tags=list(job.tags),
            settings=job.settings,
            has_external_user=job.has_external_user,
            secret_names=list(job.secret_names),
            attempts=job.attempts,
            last_error=job.last_error,
            last_occurrence=None if job.last is None else OccurrenceOut.of(job.last),
            created_by=payload.created_by,
            created_at=job.created_at,
            updated_at=job.updated_at,
        )
