"""The organisation's audit log: who decided what, newest first; its verification, signed head and export."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from models.audit import AuditAction
from models.base import JsonObject
from models.ids import ProjectId, RunId, SessionId
from planvault.storage.audit import AuditFilter
from planvault.storage.audit_verify import PORTION_ROWS, export, verify_portion
from planvault.storage.tenancy import within
from serve_apps.changes import record
from serve_apps.dependencies import Actor, Deps, Organisation
from serve_apps.paging import Cursor, Limit, decode_number, encode
from serve_apps.routes.answers import Responses, problems
from serve_apps.schemas.audit import AuditKeyOut, AuditRowOut, SignedHeadOut, VerificationOut, decode_place
from serve_apps.schemas.base import Page

router = APIRouter(prefix="/audit", tags=["admin: audit"])

Actions = Annotated[list[AuditAction] | None, Query(description="Only these; may be given more than once.")]
Since = Annotated[AwareDatetime | None, Query(description="At this time or later.")]
Portion = Annotated[int, Query(ge=1, le=100_000, description="Rows that are verified at once.")]
NDJSON: Responses = {
    200: {
        "description": "The log, one JSON object a line.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}
Until = Annotated[AwareDatetime | None, Query(description="Before this time.")]


@router.get("", responses=problems())
async def list_audit(
    scope: Organisation,
    deps: Deps,
    action: Actions = None,
    projectId: UUID | None = None,  # noqa: N803 - the wire's own names
    sessionId: UUID | None = None,  # noqa: N803
    runId: UUID | None = None,  # noqa: N803
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AuditRowOut]:
    chosen = AuditFilter(
        actions=tuple(action or ()),
        project_id=ProjectId(projectId) if projectId else None,
        session_id=SessionId(sessionId) if sessionId else None,
        run_id=RunId(runId) if runId else None,
        since=since,
        until=until,
    )
    page = await deps.audit.page(scope, chosen, decode_number(cursor), limit)
    return Page[AuditRowOut](
        items=[AuditRowOut.of(entry) for entry in page.entries],
        next_cursor=None if page.before is None else encode(str(page.before)),
    )


@router.get("/verify", responses=problems(409))
async def verify_audit(
    scope: Organisation, deps: Deps, cursor: Cursor = None, limit: Portion = PORTION_ROWS
) -> VerificationOut:
    """Recompute the chain where it lies: hashes, details against their digests, anchors, pruned segments, the tail.

    A long log is verified in portions: go on with `nextCursor` until it is null. What a chain cannot show by itself is
    shown by a head that was kept elsewhere, or by an export and its verification: `planvault audit verify`."""
    portion = await verify_portion(deps.audit_chain, scope, decode_place(cursor), limit=limit)
    return VerificationOut.of(portion)


@router.get("/head", responses=problems())
async def get_audit_head(scope: Organisation, deps: Deps) -> SignedHeadOut:
    """Where the chain ends now, signed. Kept elsewhere, it shows every later change of what is in the log now."""
    return SignedHeadOut.of(await deps.audit_chain.signed_head(scope))


@router.get("/keys", responses=problems())
async def list_audit_keys(scope: Organisation, deps: Deps) -> Page[AuditKeyOut]:
    """Public keys, oldest first. A verifier keeps the first one: each later one is introduced by the one before it."""
    return Page[AuditKeyOut](items=[AuditKeyOut.of(key) for key in await deps.audit_chain.keys.all(scope)])


@router.post("/keys", status_code=201, responses=problems(409))
async def rotate_audit_key(scope: Organisation, deps: Deps, actor: Actor) -> AuditKeyOut:
    """Sign with a new key from now on. What older keys have signed stays valid."""
    await deps.audit_chain.keys.current(scope)  # there is a first one, which introduces this one
    async with within(deps.pool, scope) as connection:
        made = await deps.audit_chain.keys.rotate(connection, scope)
        what: JsonObject = {"version": made.version, "publicKey": made.public_key.hex()}
        await record(deps, connection, scope, AuditAction.AUDIT_KEY_ROTATED, actor, what)
    return AuditKeyOut.of(made)


@router.get("/export", responses=problems() | NDJSON, response_class=StreamingResponse)
async def export_audit(
    scope: Organisation,
    deps: Deps,
    details: Annotated[bool, Query(description="False: without details, and so without names of people.")] = True,
) -> StreamingResponse:
    """The whole log with keys, anchors and a signed head, one JSON object a line. It verifies offline."""
    parts = export(deps.audit_chain, deps.clock, scope, details=details)
    first = await anext(parts)  # a fault that shows at once is an answer, not a broken stream

    async def stream() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    name = f'attachment; filename="audit-{scope.org_id}.ndjson"'
    return StreamingResponse(stream(), media_type="application/x-ndjson", headers={"Content-Disposition": name})
