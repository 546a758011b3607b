"""Runs of a session."""

from uuid import UUID

from fastapi import APIRouter

from models.ids import RunId
from serve_apps import paging
from serve_apps.dependencies import Deps, InSession
from serve_apps.routes.answers import problems
from serve_apps.schemas.base import Page
from serve_apps.schemas.runs import RunOut

router = APIRouter(prefix="/sessions/{sessionId}/runs", tags=["runs"])


@router.get("", responses=problems())
async def list_runs(
    scope: InSession, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[RunOut]:
    """Newest first."""
    await deps.sessions.get(scope)
    before = paging.decode_uuid(cursor)
    found = await deps.runs.page(scope, RunId(before) if before else None, limit + 1)
    items = [RunOut.of(run) for run in found[:limit]]
    more = len(found) > limit
    return Page[RunOut](items=items, next_cursor=paging.encode(str(items[-1].id)) if more else None)


@router.get("/{runId}", responses=problems())
async def get_run(runId: UUID, scope: InSession, deps: Deps) -> RunOut:  # noqa: N803 - the path's own name
    """Status, plan hash, timings, and the open question of a waiting run."""
    return RunOut.of(await deps.runs.get(scope, RunId(runId)))
