"""Scheduled jobs: prompts that are sent later, once or by a rule. The Admin API has the same calls for any project."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from models.audit import AuditAction, AuditRow
from models.ids import JobId, SessionId
from models.schedules import JobStatus, JobTarget
from models.tenants import ProjectScope
from planvault.policy.voting import Voter
from planvault.storage.idempotency import Answer, IdempotencyKey
from planvault.storage.pool import Connection
from planvault.storage.scheduled_jobs import JobFilter
from planvault.storage.tenancy import within
from serve_apps import paging
from serve_apps.dependencies import (
    Actor,
    ApiDeps,
    Deps,
    InProject,
    OnceKey,
    Speaker,
    answers_of,
)
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.schedules import CreateJob, JobOut, OccurrenceOut

router = APIRouter(prefix="/scheduled-jobs", tags=["scheduled jobs"])

Status = Annotated[JobStatus | None, Query()]
Target = Annotated[JobTarget | None, Query()]
OfSession = Annotated[UUID | None, Query(alias="sessionId", description="Resumed, or opened by the last occurrence.")]
Recurring = Annotated[bool | None, Query()]


@router.post("", status_code=201, response_model=JobOut, responses=problems(409))
async def create_job(body: CreateJob, scope: InProject, deps: Deps, key: OnceKey, speaker: Speaker) -> Response:
    """Schedule a prompt: for a new session, or for one that is open. Once, or by an hourly, daily or weekly rule."""
    return await book_job(body, scope, deps, key, speaker)


@router.get("", responses=problems())
async def list_jobs(
    scope: InProject,
    deps: Deps,
    status: Status = None,
    target: Target = None,
    session_id: OfSession = None,
    recurring: Recurring = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> Page[JobOut]:
    """Newest first. A page of large jobs holds fewer than `limit`; `nextCursor` says whether there are more."""
    return await page_of_jobs(scope, deps, filter_of(status, target, session_id, recurring), cursor, limit)


@router.get("/{jobId}", responses=problems())
async def get_job(jobId: UUID, scope: InProject, deps: Deps) -> JobOut:  # noqa: N803 - the path's own name
    """The job, with its last occurrence and how that one's run went."""
    return JobOut.of(await deps.scheduled_jobs.get(scope, JobId(jobId)))


@router.get("/{jobId}/occurrences", responses=problems())
async def list_occurrences(
    jobId: UUID,  # noqa: N803 - the path's own name
    scope: InProject,
    deps: Deps,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> Page[OccurrenceOut]:
    """What became of each time that the job was due, latest first."""
    return await page_of_occurrences(JobId(jobId), scope, deps, cursor, limit)


@router.post("/{jobId}/cancel", response_model=JobOut, responses=problems(409))
async def cancel_job(
    jobId: UUID,  # noqa: N803 - the path's own name
    scope: InProject,
    deps: Deps,
    actor: Actor,
) -> JobOut:
    """No further occurrence; a run that the job has opened goes on. Cancelling again changes nothing."""
    return await cancel_of(JobId(jobId), scope, deps, actor)


async def book_job(
    body: CreateJob, scope: ProjectScope, deps: ApiDeps, key: IdempotencyKey | None, speaker: Voter
) -> Response:
    user = await deps.sessions.hashed(scope.org_id, body.external_user_id)

    async def book(connection: Connection) -> Answer:
        booked = await deps.bookings.book(connection, scope, body.order(speaker, user))
        return Answer(201, wire(JobOut.of(await deps.scheduled_jobs.get(scope, booked.job_id, connection))))

    return respond(await deps.idempotency.once(answers_of(scope), key, book))


async def page_of_jobs(
    scope: ProjectScope, deps: ApiDeps, chosen: JobFilter, cursor: str | None, limit: int
) -> Page[JobOut]:
    before = paging.decode_uuid(cursor)
    found, more = await deps.scheduled_jobs.page(scope, chosen, JobId(before) if before else None, limit)
    items = [JobOut.of(job) for job in found]
    return Page[JobOut](items=items, next_cursor=paging.encode(str(items[-1].id)) if more else None)


async def page_of_occurrences(
    job_id: JobId, scope: ProjectScope, deps: ApiDeps, cursor: str | None, limit: int
) -> Page[OccurrenceOut]:
    job = await deps.scheduled_jobs.get(scope, job_id)
    found = await deps.scheduled_jobs.occurrences(scope, job.id, _due_before(cursor), limit + 1)
    items = [OccurrenceOut.of(occurrence) for occurrence in found[:limit]]
    more = len(found) > limit
    return Page[OccurrenceOut](items=items, next_cursor=paging.encode(items[-1].due_at.isoformat()) if more else None)


async def cancel_of(job_id: JobId, scope: ProjectScope, deps: ApiDeps, actor: str) -> JobOut:
    row = AuditRow(
        id=deps.ids.new(),
        at=deps.clock.now(),
        action=AuditAction.JOB_CANCELLED,
        details={"actor": actor, "jobId": str(job_id)},
        project_id=scope.project_id,
    )
    witness = await deps.audit.witness(scope.org_id, row)
    async with within(deps.pool, scope) as connection:
        if await deps.scheduled_jobs.cancel(connection, scope, job_id):
            await witness(connection)
        return JobOut.of(await deps.scheduled_jobs.get(scope, job_id, connection))


def filter_of(
    status: JobStatus | None, target: JobTarget | None, session_id: UUID | None, recurring: bool | None
) -> JobFilter:
    return JobFilter(None, status, target, SessionId(session_id) if session_id else None, recurring)


def _due_before(cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    try:
        at = datetime.fromisoformat(paging.decode(cursor))
    except ValueError:
        raise paging.bad_cursor() from None
    if at.tzinfo is None:
        raise paging.bad_cursor()
    return at
