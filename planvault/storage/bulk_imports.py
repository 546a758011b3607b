"""Imports of many documents as one job: made and filled by the API, claimed by a worker under a lease."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from models.bulk_imports import (
    BulkImport,
    BulkStatus,
    DocumentCounts,
    DocumentStatus,
    Finding,
    OperationCounts,
    Stage,
    UploadedDocument,
)
from models.ids import BulkImportId
from models.tenants import OrgScope
from planvault.errors import Conflict, NotFound, OwnershipLost
from planvault.storage.pool import Connection, Pool, Queryable, transaction
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/bulk_imports.sql")

CHANNEL = "planvault_imports"  # as single imports: one worker serves both
UPLOAD_DAYS = 7
REPORT_DAYS = 90
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker holds. `attempt` fences its writes: a later claim raises it."""

    id: BulkImportId
    scope: OrgScope
    attempt: int
    stage: Stage
    name_prefix: str
    prune: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """A document as it lies in the database. `body`: zlib of `size` bytes whose SHA-256 is `sha256` (hex)."""

    path: str
    sha256: str
    size: int
    body: bytes


async def create_job(
    db: Queryable, scope: OrgScope, job_id: BulkImportId, *, name_prefix: str = "", prune: bool = False
) -> BulkImport:
    """A job that takes documents until it is started."""
    await db.execute(_SQL["create"], scope.org_id, job_id, name_prefix, prune)
    return await get_job(db, scope, job_id)


async def get_job(db: Queryable, scope: OrgScope, job_id: BulkImportId) -> BulkImport:
    row = await db.fetchrow(_SQL["jobs"], scope.org_id, job_id, None, 1)
    if row is None:
        raise NotFound("There is no such import in this organisation.")
    return _job(row)


async def list_jobs(db: Queryable, scope: OrgScope, before: BulkImportId | None, limit: int) -> list[BulkImport]:
    """A page, newest first."""
    return [_job(row) for row in await db.fetch(_SQL["jobs"], scope.org_id, None, before, limit)]


async def require_upload(db: Queryable, scope: OrgScope, job_id: BulkImportId) -> None:
    """Raises NotFound; Conflict where the job takes no documents any more."""
    status = await db.fetchval(_SQL["status"], scope.org_id, job_id)
    if status is None:
        raise NotFound("There is no such import in this organisation.")
    if status != BulkStatus.UPLOADING.value:
        raise Conflict(f"This import is {status} and takes no documents; make a new one.")


async def put_document(db: Queryable, scope: OrgScope, job_id: BulkImportId, document: Upload) -> None:
    """Add a document, or replace the one of that path. Raises NotFound; Conflict where the job has started."""
    stored = await db.fetchval(
        _SQL["put_document"],
        scope.org_id,
        job_id,
        document.path,
        document.sha256,
        document.size,
        document.body,
    )
    if stored is None:
        await require_upload(db, scope, job_id)
        raise Conflict("This import has just changed; try again.")


async def list_documents(
    db: Queryable,
    scope: OrgScope,
    job_id: BulkImportId,
    *,
    after: str = "",
    limit: int = 100,
    status: DocumentStatus | None = None,
) -> list[UploadedDocument]:
    """A page by path; the last path is the cursor of the next page."""
    rows = await db.fetch(_SQL["documents"], scope.org_id, job_id, after, limit, status and status.value)
    return [_document(row) for row in rows]


async def list_findings(
    db: Queryable,
    scope: OrgScope,
    job_id: BulkImportId,
    *,
    after: tuple[str, int] = ("", -1),
    limit: int = 100,
    outcome: str | None = None,
    path: str | None = None,
) -> list[Finding]:
    """A page of the report; path and position of the last line are the cursor of the next page."""
    rows = await db.fetch(_SQL["findings"], scope.org_id, job_id, *after, limit, outcome, path)
    return [Finding.model_validate(dict(row)) for row in rows]


async def start_job(db: Connection, scope: OrgScope, job_id: BulkImportId) -> BulkImport:
    """Hand the job to the workers; a started one stays as it is. Raises NotFound, Conflict (empty, or cancelled)."""
    started = await db.fetchval(_SQL["start"], scope.org_id, job_id)
    job = await get_job(db, scope, job_id)
    if started is None and job.status is BulkStatus.UPLOADING:
        raise Conflict("This import has no documents yet.")
    if job.status is BulkStatus.CANCELLED:
        raise Conflict("This import was cancelled; make a new one.")
    await db.execute("SELECT pg_notify($1, '')", CHANNEL)
    return job


async def cancel_job(db: Connection, scope: OrgScope, job_id: BulkImportId) -> BulkImport:
    """End the job where it is; what it has stored stays. Raises NotFound, Conflict where it has ended by itself.

    Waits for a write of the job that is being committed.
    """
    await db.execute(_SQL["patience"])
    cancelled = await db.fetchval(_SQL["cancel"], scope.org_id, job_id)
    job = await get_job(db, scope, job_id)
    if cancelled is None and job.status is not BulkStatus.CANCELLED:
        raise Conflict(f"This import has ended: it is {job.status.value}.")
    await db.execute(_SQL["drop_bodies"], scope.org_id, job_id)
    return job


# ── the worker's side ────────────────────────────────────────────────────────────────────────────────────────────────


async def expire(db: Queryable) -> None:
    """Of any organisation: give up uploads that nobody has finished, and forget old reports."""
    given_up = f"The documents were not complete after {UPLOAD_DAYS} days."
    await db.execute(_SQL["expire"], UPLOAD_DAYS * _DAY_S, given_up, REPORT_DAYS * _DAY_S)


async def claim_job(pool: Pool, lease_s: float) -> ClaimedJob | None:
    """Take the oldest open job that nobody holds, of whatever organisation; None when there is none."""
    async with transaction(pool) as connection:
        await connection.execute(_SQL["take_turns"])
        row = await connection.fetchrow(_SQL["claim"], lease_s)
    if row is None:
        return None
    return ClaimedJob(
        id=row["id"],
        scope=OrgScope(org_id=row["org_id"]),
        attempt=row["attempts"],
        stage=Stage(row["stage"]),
        name_prefix=row["name_prefix"],
        prune=row["prune"],
    )


async def renew_job(pool: Pool, claim: ClaimedJob, lease_s: float) -> None:
    """Raises OwnershipLost where another worker took the job over or it was cancelled, as do all writes below.

    Waits for a write of the job that is being committed; until then nobody can take the job over.
    """
    async with within(pool, claim.scope) as connection:
        await connection.execute(_SQL["patience"])
        _held(await connection.fetchval(_SQL["renew"], *_fence(claim), lease_s))


async def hold_job(db: Connection, claim: ClaimedJob) -> None:
    """Until the transaction ends nobody takes the job over, and nobody cancels it."""
    _held(await db.fetchval(_SQL["hold"], *_fence(claim)))


async def enter_stage(db: Queryable, claim: ClaimedJob, stage: Stage, *, to_embed: int = 0) -> None:
    """What follows is of this stage. `to_embed`: tools without a vector, where it is `embedding`."""
    _held(await db.fetchval(_SQL["enter_stage"], *_fence(claim), stage.value, to_embed))


async def count_embedded(db: Connection, claim: ClaimedJob, tools: int) -> None:
    """In the transaction that stores their vectors."""
    _held(await db.fetchval(_SQL["count_embedded"], *_fence(claim), tools))


async def complete_job(db: Queryable, claim: ClaimedJob) -> None:
    _held(await db.fetchval(_SQL["finish"], *_fence(claim), BulkStatus.COMPLETED.value, None))


async def fail_job(db: Queryable, claim: ClaimedJob, error: str) -> None:
    """`error` says what to do next; it is shown to the person who imports."""
    _held(await db.fetchval(_SQL["finish"], *_fence(claim), BulkStatus.FAILED.value, error))
    await db.execute(_SQL["drop_bodies"], claim.scope.org_id, claim.id)


def _fence(claim: ClaimedJob) -> Sequence[object]:
    return claim.scope.org_id, claim.id, claim.attempt


def _held(returned: object) -> None:
    if returned is None:
        raise OwnershipLost("Another worker took this import over, or it was cancelled.")


def _job(row: asyncpg.Record) -> BulkImport:
    fields = dict(row)
    documents = {name: fields.pop(f"documents_{name}") for name in DocumentCounts.model_fields}
    operations = {name: fields.pop(name) for name in OperationCounts.model_fields}
    return BulkImport(**fields, documents=DocumentCounts(**documents), operations=OperationCounts(**operations))


def _document(row: asyncpg.Record) -> UploadedDocument:
    fields = dict(row)
    operations = {name: fields.pop(name) for name in OperationCounts.model_fields}
    return UploadedDocument(**fields, operations=OperationCounts(**operations))
