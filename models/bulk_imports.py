"""Imports of many documents as one job: the vocabulary of its progress and of its report."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.base import Frozen
from models.ids import BulkImportId, IntegrationId, OrgId


class BulkStatus(StrEnum):
    UPLOADING = "uploading"  # documents come in; nothing is done with them yet
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"  # also where documents were refused: the report names them
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_ended(self) -> bool:
        return self in {BulkStatus.COMPLETED, BulkStatus.FAILED, BulkStatus.CANCELLED}


class Stage(StrEnum):
    """What a running job is at. Each is idempotent: a job that is taken over goes on inside the stage."""

    DOCUMENTS = "documents"  # read, compared with the catalog, stored
    EMBEDDING = "embedding"
    GROUPS = "groups"


class DocumentStatus(StrEnum):
    WAITING = "waiting"
    STORED = "stored"
    UNCHANGED = "unchanged"  # the very bytes that were imported before: not read again
    REFUSED = "refused"
    VANISHED = "vanished"  # imported before under this prefix, and not part of this job


class OperationCounts(Frozen):
    """Operations by what became of them."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0

    @property
    def tools(self) -> int:
        """Tools that the documents have in the catalog now."""
        return self.created + self.updated + self.unchanged


class DocumentCounts(Frozen):
    """Documents of a job by status."""

    waiting: int = 0
    stored: int = 0
    unchanged: int = 0
    refused: int = 0
    vanished: int = 0

    @property
    def total(self) -> int:
        """Documents that were uploaded."""
        return self.waiting + self.stored + self.unchanged + self.refused

    @property
    def done(self) -> int:
        return self.total - self.waiting


class BulkImport(Frozen):
    """One job. `stage_began_at`, `stage_began_bytes`: what was done of the stage when this attempt took it up, in
    operations (of `embedding`: tools) and bytes."""

    id: BulkImportId
    org_id: OrgId
    name_prefix: str = ""
    prune: bool = False
    status: BulkStatus
    stage: Stage = Stage.DOCUMENTS
    stage_began_at: int = 0
    stage_began_bytes: int = 0
    stage_seconds: float | None = None  # since then; None where the job does not run
    documents: DocumentCounts = DocumentCounts()
    operations: OperationCounts = OperationCounts()
    size: int = 0  # bytes of its documents
    size_done: int = 0
    to_embed: int = 0
    embedded: int = 0
    timings: dict[str, float] = Field(default_factory=dict)  # seconds by stage that has ended
    error: str | None = None
    attempts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class UploadedDocument(Frozen):
    """A document of a job. `sha256`: hex, of its bytes as they were sent."""

    path: str
    sha256: str
    size: int
    status: DocumentStatus = DocumentStatus.WAITING
    alias: str | None = None
    integration_id: IntegrationId | None = None
    operations: OperationCounts = OperationCounts()


FindingOutcome = Literal["created", "updated", "unchanged", "removed", "skipped", "refused"]


class Finding(Frozen):
    """A line of the report. `operation` is empty where the document as a whole is meant."""

    path: str
    position: int
    operation: str = ""
    outcome: FindingOutcome
    tool: str | None = None
    problems: tuple[str, ...] = ()
