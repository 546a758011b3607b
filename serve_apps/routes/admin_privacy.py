"""Export and erasure of what is held about an external user, a project, or the whole organisation."""

from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from models.audit import AuditAction, AuditRow
from models.ids import OrgId, UserId
from models.privacy import Person, PrivacyRequest, RequestKind
from models.tenants import OrgScope, ProjectScope
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.privacy import Draft
from planvault.storage.privacy_work import told
from planvault.storage.tenancy import within
from planvault.storage.tenants import Witness
from serve_apps import paging
from serve_apps.dependencies import Actor, ApiDeps, Deps, Grant, OnceKey, Organisation, answers_of
from serve_apps.organization_end import end_organization
from serve_apps.routes.answers import Responses, problems, respond, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.privacy import CreateErasure, CreateExport, ErasureOut, ExportOut
from serve_apps.staff_erasure import staff_member

router = APIRouter(prefix="/gdpr", tags=["admin: privacy"])

_ZIP = "application/zip"
_FILE: Responses = {
    200: {
        "description": "A ZIP of JSON (docs/privacy.md). `ETag` is its SHA-256.",
        "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/exports", status_code=202, response_model=ExportOut, responses=problems(409))
async def create_export(body: CreateExport, scope: Organisation, deps: Deps, key: OnceKey, actor: Actor) -> Response:
    """Everything that is held, as a file to be fetched when `state` is `completed`. An external user who was never seen
    has an empty one. While an export of the same is under way, it is the answer."""

    async def create(connection: Connection) -> Answer:
        made = await _created(deps, connection, scope, body.draft(actor), AuditAction.GDPR_EXPORT_REQUESTED)
        return Answer(202, wire(ExportOut.of(made)))

    return respond(await deps.idempotency.once(answers_of(scope), key, create))


@router.get("/exports", responses=problems())
async def list_exports(
    scope: Organisation, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[ExportOut]:
    """Newest first."""
    found, more = await _page(deps, scope, RequestKind.EXPORT, cursor, limit)
    return Page[ExportOut](items=[ExportOut.of(each) for each in found], next_cursor=more)


@router.get("/exports/{exportId}", responses=problems())
async def get_export(exportId: UUID, scope: Organisation, deps: Deps) -> ExportOut:  # noqa: N803 - the path's own name
    return ExportOut.of(await deps.privacy.get(scope, RequestKind.EXPORT, exportId))


@router.get("/exports/{exportId}/file", response_class=StreamingResponse, responses=_FILE | problems())
async def get_export_file(exportId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> StreamingResponse:  # noqa: N803
    """The file, streamed. It is kept for seven days."""
    export = await deps.privacy.get(scope, RequestKind.EXPORT, exportId)
    head = await deps.export_files.head(scope, exportId)
    parts = deps.export_files.parts(scope, exportId, head)
    first = await anext(parts)  # what cannot be read is an error and not a body that breaks off
    witness = await _witness(deps, scope.org_id, export, AuditAction.GDPR_EXPORT_DOWNLOADED, actor)
    async with within(deps.pool, scope) as connection:
        await witness(connection)
    headers = {
        "Content-Length": str(head.size),
        "ETag": f'"{head.sha256.hex()}"',
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="export-{exportId}.zip"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_all(first, parts), media_type=_ZIP, headers=headers)


@router.delete("/exports/{exportId}", status_code=204, responses=problems())
async def delete_export(exportId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> None:  # noqa: N803
    """Its file goes; one under way is cancelled. That it was asked for stays on record."""
    export = await deps.privacy.get(scope, RequestKind.EXPORT, exportId)
    witness = await _witness(deps, scope.org_id, export, AuditAction.GDPR_EXPORT_DELETED, actor)
    async with within(deps.pool, scope) as connection:
        await deps.privacy.cancel(connection, scope, RequestKind.EXPORT, exportId, actor)
        await witness(connection)


@router.post("/erasures", status_code=202, response_model=ErasureOut, responses=problems(409))
async def create_erasure(
    body: CreateErasure, scope: Organisation, deps: Deps, grant: Grant, key: OnceKey, actor: Actor
) -> Response:
    """Everything that is held goes, for good: sessions are stopped, keys destroyed, rows, files and prompt vectors
    deleted. Until it is completed no session or job can be made of the person, or in the project. While an erasure of
    the same is under way, it is the answer.

    Target `member`, by `userId`, is a person of the staff who is or was a member; a place that they still have ends
    with the request.

    Target `organization` takes an OWNER and the organisation's name in `confirm`. The organisation is shut for
    everybody within seconds, this route included; for seven days whoever runs the installation can restore it, unless
    `immediately` is true. Then its keys are destroyed and everything is deleted."""
    woken: set[int] = set()

    async def create(connection: Connection) -> Answer:
        draft, person = body.draft(actor), None
        if body.user_id is not None:
            user_id = UserId(body.user_id)
            draft, person = await staff_member(deps, connection, scope, grant, user_id, draft)
        made = await _created(deps, connection, scope, draft, AuditAction.GDPR_ERASURE_REQUESTED, person)
        until = None
        if body.confirm is not None:
            until, shards = await end_organization(
                deps, connection, scope, grant, body.confirm, actor, at_once=body.immediately
            )
            woken.update(shards)
        return Answer(202, wire(ErasureOut.of(made, until)))

    answer = await deps.idempotency.once(answers_of(scope), key, create)
    await deps.deletions.wake(woken)
    return respond(answer)


@router.get("/erasures", responses=problems())
async def list_erasures(
    scope: Organisation, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[ErasureOut]:
    """Newest first."""
    found, more = await _page(deps, scope, RequestKind.ERASURE, cursor, limit)
    return Page[ErasureOut](items=[ErasureOut.of(each) for each in found], next_cursor=more)


@router.get("/erasures/{erasureId}", responses=problems())
async def get_erasure(erasureId: UUID, scope: Organisation, deps: Deps) -> ErasureOut:  # noqa: N803
    return ErasureOut.of(await deps.privacy.get(scope, RequestKind.ERASURE, erasureId))


@router.post("/erasures/{erasureId}/cancel", responses=problems(409))
async def cancel_erasure(erasureId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> ErasureOut:  # noqa: N803
    """Only before it has begun: what it has destroyed cannot come back."""
    erasure = await deps.privacy.get(scope, RequestKind.ERASURE, erasureId)
    witness = await _witness(deps, scope.org_id, erasure, AuditAction.GDPR_ERASURE_CANCELLED, actor)
    async with within(deps.pool, scope) as connection:
        cancelled = await deps.privacy.cancel(connection, scope, RequestKind.ERASURE, erasureId, actor)
        await witness(connection)
    return ErasureOut.of(cancelled)


async def _created(
    deps: ApiDeps,
    connection: Connection,
    scope: OrgScope,
    draft: Draft,
    action: AuditAction,
    person: Person | None = None,
) -> PrivacyRequest:
    if draft.project_id is not None:
        await deps.tenants.project(ProjectScope(org_id=scope.org_id, project_id=draft.project_id), connection)
    if person is None:
        person = await deps.privacy.person(scope.org_id, draft.external_user_id)
    made, is_new = await deps.privacy.create(connection, scope, draft, person)
    if is_new:
        await (await _witness(deps, scope.org_id, made, action, draft.actor))(connection)
    return made


async def _page(
    deps: ApiDeps, scope: OrgScope, kind: RequestKind, cursor: str | None, limit: int
) -> tuple[list[PrivacyRequest], str | None]:
    found = await deps.privacy.page(scope, kind, paging.decode_uuid(cursor), limit + 1)
    shown = found[:limit]
    return shown, paging.encode(str(shown[-1].id)) if len(found) > limit else None


async def _witness(deps: ApiDeps, org_id: OrgId, request: PrivacyRequest, action: AuditAction, actor: str) -> Witness:
    # Not filed under the project: its erasure blanks those rows, and this one is what remains as proof.
    row = AuditRow(id=deps.ids.new(), at=deps.clock.now(), action=action, details=told(request) | {"actor": actor})
    return await deps.audit.witness(org_id, row)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part
