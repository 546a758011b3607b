"""Many API descriptions as one import: make it, send the documents one by one, start it, watch it, read its report."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from models.audit import AuditAction
from models.base import JsonObject
from models.bulk_imports import DocumentStatus, Finding, FindingOutcome, UploadedDocument
from models.ids import BulkImportId
from planvault.errors import FieldError, InvalidInput
from planvault.storage import bulk_imports
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.tenancy import scoped, within
from serve_apps import document_upload
from serve_apps.changes import record
from serve_apps.dependencies import Actor, Deps, OnceKey, Organisation, answers_of
from serve_apps.paging import Cursor, Limit, bad_cursor, decode, decode_uuid, encode
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page, without_nul
from serve_apps.schemas.bulk_imports import BulkDocument, BulkImportOut, FindingOut, NewBulkImport

router = APIRouter(prefix="/bulk-imports", tags=["admin: tools"])

_POSITION = re.compile(r"[0-9]{1,9}")
_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The document as it is, JSON or YAML, up to 64 MiB.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Path = Annotated[
    str,
    Query(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f\\]+$",
        description="Where the document lies in its folder, with `/`: it names the document over imports.",
    ),
]
# A page begins behind a path: of at most 2,000 bytes, which Base64 makes longer by a third.
PathCursor = Annotated[str | None, Query(max_length=3_000, description="From the page before: `nextCursor`.")]
OfPath = Annotated[str | None, Query(max_length=500, description="Of one document."), AfterValidator(without_nul)]


@router.post("", status_code=201, response_model=BulkImportOut, responses=problems(409))
async def create_bulk_import(
    body: NewBulkImport, scope: Organisation, deps: Deps, key: OnceKey, actor: Actor
) -> Response:
    """An import that takes documents until it is started."""
    job_id = BulkImportId(deps.ids.new())

    async def create(connection: Connection) -> Answer:
        job = await bulk_imports.create_job(connection, scope, job_id, name_prefix=body.name_prefix, prune=body.prune)
        what: JsonObject = {"importId": str(job_id), "namePrefix": body.name_prefix, "prune": body.prune}
        await record(deps, connection, scope, AuditAction.BULK_IMPORT_CREATED, actor, what)
        return Answer(201, wire(BulkImportOut.of(job)))

    return respond(await deps.idempotency.once(answers_of(scope), key, create))


@router.get("", responses=problems())
async def list_bulk_imports(
    scope: Organisation, deps: Deps, cursor: Cursor = None, limit: Limit = 20
) -> Page[BulkImportOut]:
    """Newest first."""
    before = decode_uuid(cursor)
    jobs = await bulk_imports.list_jobs(
        scoped(deps.pool, scope), scope, BulkImportId(before) if before else None, limit + 1
    )
    more, jobs = len(jobs) > limit, jobs[:limit]
    return Page[BulkImportOut](
        items=[BulkImportOut.of(job) for job in jobs], next_cursor=encode(str(jobs[-1].id)) if more else None
    )


@router.get("/{importId}", responses=problems())
async def get_bulk_import(importId: UUID, scope: Organisation, deps: Deps) -> BulkImportOut:  # noqa: N803
    """Progress: documents, operations, vectors, the rate and an estimate."""
    return BulkImportOut.of(await bulk_imports.get_job(scoped(deps.pool, scope), scope, BulkImportId(importId)))


@router.put("/{importId}/documents", responses=problems(409, 415), openapi_extra=_DOCUMENT)
async def put_bulk_document(
    importId: UUID,  # noqa: N803 - the path's own name
    path: Path,
    request: Request,
    scope: Organisation,
    deps: Deps,
    actor: Actor,
) -> BulkDocument:
    """Send one document. Sent again it takes the place of what was sent before under the same path."""
    if path.startswith("/") or any(part in {"", ".", ".."} for part in path.split("/")):
        fault = FieldError("/path", "must be relative, without empty parts, `.` and `..`")
        raise InvalidInput("The path is not valid.", errors=(fault,))
    job_id = BulkImportId(importId)
    await bulk_imports.require_upload(scoped(deps.pool, scope), scope, job_id)  # before the body is read
    upload = await document_upload.read(request, path)
    async with within(deps.pool, scope) as connection:
        await bulk_imports.put_document(connection, scope, job_id, upload)
        what: JsonObject = {"importId": str(job_id), "path": path, "sha256": upload.sha256, "size": upload.size}
        await record(deps, connection, scope, AuditAction.BULK_IMPORT_DOCUMENT_SENT, actor, what)
    return BulkDocument.of(UploadedDocument(path=path, sha256=upload.sha256, size=upload.size))


@router.get("/{importId}/documents", responses=problems())
async def list_bulk_documents(
    importId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    deps: Deps,
    status: DocumentStatus | None = None,
    cursor: PathCursor = None,
    limit: Limit = 100,
) -> Page[BulkDocument]:
    """By path."""
    job = await bulk_imports.get_job(scoped(deps.pool, scope), scope, BulkImportId(importId))
    after = decode(cursor) if cursor else ""
    found = await bulk_imports.list_documents(
        scoped(deps.pool, scope), scope, job.id, after=after, limit=limit + 1, status=status
    )
    more, found = len(found) > limit, found[:limit]
    return Page[BulkDocument](
        items=[BulkDocument.of(one) for one in found], next_cursor=encode(found[-1].path) if more else None
    )


@router.get("/{importId}/report", responses=problems())
async def bulk_import_report(
    importId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    deps: Deps,
    outcome: FindingOutcome | None = None,
    path: OfPath = None,
    cursor: PathCursor = None,
    limit: Limit = 100,
) -> Page[FindingOut]:
    """What was refused and why, by document and operation; also what lost something on the way, and what is gone."""
    job = await bulk_imports.get_job(scoped(deps.pool, scope), scope, BulkImportId(importId))
    found = await bulk_imports.list_findings(
        scoped(deps.pool, scope), scope, job.id, after=_place(cursor), limit=limit + 1, outcome=outcome, path=path
    )
    more, found = len(found) > limit, found[:limit]
    return Page[FindingOut](
        items=[FindingOut.of(one) for one in found],
        next_cursor=_cursor(found[-1]) if more else None,
    )


@router.post("/{importId}/start", status_code=202, responses=problems(409))
async def start_bulk_import(importId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> BulkImportOut:  # noqa: N803
    """All documents are there. Starting twice is starting once."""
    async with within(deps.pool, scope) as connection:
        job = await bulk_imports.start_job(connection, scope, BulkImportId(importId))
        await record(deps, connection, scope, AuditAction.BULK_IMPORT_STARTED, actor, {"importId": str(importId)})
        return BulkImportOut.of(job)


@router.post("/{importId}/cancel", responses=problems(409))
async def cancel_bulk_import(importId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> BulkImportOut:  # noqa: N803
    """End it where it is. What it has stored stays in the catalog; another import of the folder goes on from there."""
    async with within(deps.pool, scope) as connection:
        job = await bulk_imports.cancel_job(connection, scope, BulkImportId(importId))
        await record(deps, connection, scope, AuditAction.BULK_IMPORT_CANCELLED, actor, {"importId": str(importId)})
        return BulkImportOut.of(job)


def _cursor(line: Finding) -> str:
    return encode(f"{line.position}:{line.path}")


def _place(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "", -1
    position, colon, path = decode(cursor).partition(":")
    if not colon or not _POSITION.fullmatch(position):
        raise bad_cursor()
    return path, int(position)
