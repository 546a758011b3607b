"""Imports of many documents, on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from models.bulk_imports import (
    BulkImport,
    BulkStatus,
    DocumentCounts,
    DocumentStatus,
    Finding,
    FindingOutcome,
    OperationCounts,
    Stage,
    UploadedDocument,
)
from serve_apps.schemas.base import Body, Reply

NamePrefix = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,19})?$")]


class NewBulkImport(Body):
    name_prefix: NamePrefix = Field(
        default="", description="Stands before each integration's alias. A prefix and a path name one integration."
    )
    prune: bool = Field(
        default=False,
        description="Retire the tools of documents of this prefix that are no longer there; else they are reported.",
    )


class DocumentTotals(Reply):
    """Documents by status. `vanished` ones were imported before and are not part of this import."""

    total: int
    waiting: int
    stored: int
    unchanged: int
    refused: int
    vanished: int

    @classmethod
    def of(cls, counts: DocumentCounts) -> "DocumentTotals":
        return cls(total=counts.total, **counts.model_dump())


class OperationTotals(Reply):
    """Operations by what became of them; `skipped` ones are in the report with the reason."""

    created: int
    updated: int
    unchanged: int
    removed: int
    skipped: int

    @classmethod
    def of(cls, counts: OperationCounts) -> "OperationTotals":
        return cls(**counts.model_dump())


class BulkImportOut(Reply):
    id: UUID
    name_prefix: str
    prune: bool
    status: BulkStatus
    stage: Stage | None = Field(description="What is being done; null before the start and after the end.")
    documents: DocumentTotals
    operations: OperationTotals
    tools: int = Field(description="Tools that the documents have in the catalog.")
    bytes: int
    bytes_done: int
    to_embed: int = Field(description="Tools without a vector when `embedding` began.")
    embedded: int
    rate: float | None = Field(description="Operations (in `embedding`: tools) a second in this stage.")
    stage_seconds_left: float | None = Field(description="An estimate of this stage's end, once it has a rate.")
    timings: dict[str, float] = Field(description="Seconds that each stage took.")
    error: str | None
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: BulkImport) -> "BulkImportOut":
        rate, left = _pace(job)
        return cls(
            id=job.id,
            name_prefix=job.name_prefix,
            prune=job.prune,
            status=job.status,
            stage=job.stage if job.status is BulkStatus.RUNNING else None,
            documents=DocumentTotals.of(job.documents),
            operations=OperationTotals.of(job.operations),
            tools=job.operations.tools,
            bytes=job.size,
            bytes_done=job.size_done,
            to_embed=job.to_embed,
            embedded=job.embedded,
            rate=rate,
            stage_seconds_left=left,
            timings=job.timings,
            error=job.error,
            attempts=job.attempts,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


def _pace(job: BulkImport) -> tuple[float | None, float | None]:
    """Rate of the present stage and seconds to its end: of this attempt alone, since a pause between is no work."""
    seconds = job.stage_seconds
    if seconds is None or seconds <= 0:
        return None, None
    match job.stage:
        case Stage.DOCUMENTS:
            counts = job.operations
            done = counts.tools + counts.skipped - job.stage_began_at
            part = (job.size_done - job.stage_began_bytes) / max(job.size - job.stage_began_bytes, 1)
        case Stage.EMBEDDING:
            done = job.embedded
            part = done / max(job.to_embed, 1)
        case Stage.GROUPS:
            return None, None
    if part <= 0:
        return None, None
    return round(done / seconds, 1), round(seconds * (1 - part) / part, 1)


class BulkDocument(Reply):
    """One document. `sha256` is of its bytes: who resumes an upload need not send those again."""

    path: str
    sha256: str
    bytes: int
    status: DocumentStatus
    alias: str | None = Field(description="Of its integration, once the import has started.")
    tool_id: UUID | None
    operations: OperationTotals

    @classmethod
    def of(cls, document: UploadedDocument) -> "BulkDocument":
        return cls(
            path=document.path,
            sha256=document.sha256,
            bytes=document.size,
            status=document.status,
            alias=document.alias,
            tool_id=document.integration_id,
            operations=OperationTotals.of(document.operations),
        )


class FindingOut(Reply):
    """A line of the report. Without an operation it is about the document as a whole."""

    path: str
    operation: str | None
    outcome: FindingOutcome
    tool: str | None
    problems: list[str]

    @classmethod
    def of(cls, finding: Finding) -> "FindingOut":
        return cls(
            path=finding.path,
            operation=finding.operation or None,
            outcome=finding.outcome,
            tool=finding.tool,
            problems=list(finding.problems),
        )
