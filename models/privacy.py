"""Export and erasure of what is held about a person, a project or an organisation: the vocabulary (docs/privacy.md)."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from models.base import Frozen
from models.ids import OrgId, ProjectId


class RequestKind(StrEnum):
    EXPORT = "export"
    ERASURE = "erasure"


class Target(StrEnum):
    EXTERNAL_USER = "external_user"
    PROJECT = "project"
    ORGANIZATION = "organization"
    MEMBER = "member"  # of the staff, by users.id; erasures only


class RequestState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """Where work on a request stands. An erasure goes through its stages in this order; each may be repeated."""

    EXPORTING = "exporting"
    STOPPING = "stopping"  # sessions are closed, their runs cancelled, jobs taken off the schedule
    CLOSING_OFF = "closing_off"  # from here on no append of such a session is accepted
    SHREDDING = "shredding"  # the person's keys are destroyed: from here on nothing of them opens
    ANSWERS = "answers"  # kept answers to API calls, in Postgres and in Redis
    RECORDS = "records"  # sessions with all that belongs to them, page by page
    TRACES = "traces"  # jobs, prompt vectors, votes, exports, mentions in the audit log
    SETTLING = "settling"  # until every process has forgotten the keys, and late writers have been refused
    ANSWERS_AGAIN = "answers_again"
    RECORDS_AGAIN = "records_again"
    TRACES_AGAIN = "traces_again"


ERASURE: tuple[Stage, ...] = tuple(stage for stage in Stage if stage is not Stage.EXPORTING)


class Person(NamedTuple):
    """Who an external user is to us: pseudonyms (HMAC-SHA256) under every key of pseudonyms that there is.

    `voters`: the same person as whoever voted on runs.
    """

    subjects: tuple[bytes, ...]
    voters: tuple[bytes, ...]


class PrivacyRequest(Frozen):
    """One request, as it stands. `counts`: what was exported or erased so far, by table."""

    id: UUID
    org_id: OrgId
    kind: RequestKind
    target: Target
    project_id: ProjectId | None
    subjects: tuple[bytes, ...]
    voters: tuple[bytes, ...]
    state: RequestState
    stage: str
    counts: dict[str, int]
    error: str | None
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    size: int | None  # bytes of an export's file
    chunks: int | None
    sha256: bytes | None
    expires_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state in (RequestState.QUEUED, RequestState.RUNNING)
