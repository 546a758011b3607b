"""The organisation's audit log: who decided what, newest first."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from models.audit import AuditAction
from models.ids import ProjectId, RunId, SessionId
from planvault.storage.audit import AuditFilter
from serve_apps.dependencies import Deps, Organisation
from serve_apps.paging import Cursor, Limit, decode_number, encode
from serve_apps.routes.answers import problems
from serve_apps.schemas.audit import AuditRowOut
from serve_apps.schemas.base import Page

router = APIRouter(prefix="/audit", tags=["admin: audit"])

Actions = Annotated[list[AuditAction] | None, Query(description="Only these; may be given more than once.")]
Since = Annotated[AwareDatetime | None, Query(description="At this time or later.")]
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
