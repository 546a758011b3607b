"""Scheduled jobs of any project of the organisation: the same calls as the Runtime API has for its own project."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.ids import JobId
from serve_apps import paging
from serve_apps.dependencies import Actor, Deps, OnceKey, OrganisationProject, Speaker
from serve_apps.routes.answers import problems
from serve_apps.routes.scheduled_jobs import (
    OfSession,
    Recurring,
    Status,
    Target,
    book_job,
    cancel_of,
    filter_of,
    page_of_jobs,
    page_of_occurrences,
)
from serve_apps.schemas.base import Page
from serve_apps.schemas.schedules import CreateJob, JobOut, OccurrenceOut

router = APIRouter(prefix="/projects/{projectId}/scheduled-jobs", tags=["admin: scheduled jobs"])


@router.post("", status_code=201, response_model=JobOut, responses=problems(409))
async def create_job_of_project(
    body: CreateJob, scope: OrganisationProject, deps: Deps, key: OnceKey, speaker: Speaker
) -> Response:
    """As `POST …/scheduled-jobs` of the Runtime API."""
    return await book_job(body, scope, deps, key, speaker)


@router.get("", responses=problems())
async def list_jobs_of_project(
    scope: OrganisationProject,
    deps: Deps,
    status: Status = None,
    target: Target = None,
    session_id: OfSession = None,
    recurring: Recurring = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> Page[JobOut]:
    """As `GET …/scheduled-jobs` of the Runtime API."""
    return await page_of_jobs(scope, deps, filter_of(status, target, session_id, recurring), cursor, limit)


@router.get("/{jobId}", responses=problems())
async def get_job_of_project(jobId: UUID, scope: OrganisationProject, deps: Deps) -> JobOut:  # noqa: N803
    """The job, with its last occurrence and how that one's run went."""
    return JobOut.of(await deps.scheduled_jobs.get(scope, JobId(jobId)))


@router.get("/{jobId}/occurrences", responses=problems())
async def list_occurrences_of_project(
    jobId: UUID,  # noqa: N803 - the path's own name
    scope: OrganisationProject,
    deps: Deps,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> Page[OccurrenceOut]:
    """What became of each time that the job was due, latest first."""
    return await page_of_occurrences(JobId(jobId), scope, deps, cursor, limit)


@router.post("/{jobId}/cancel", response_model=JobOut, responses=problems(409))
async def cancel_job_of_project(
    jobId: UUID,  # noqa: N803 - the path's own name
    scope: OrganisationProject,
    deps: Deps,
    actor: Actor,
) -> JobOut:
    """As `POST …/cancel` of the Runtime API."""
    return await cancel_of(JobId(jobId), scope, deps, actor)
