"""The organisation's settings, and its projects."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.access import ROUTING_WRITE
from models.audit import AuditAction
from models.base import JsonObject
from models.ids import ProjectId
from models.policies import OrgSettings, ProjectSettings
from models.tenants import ProjectScope
from planvault.auth.permissions import Granted, holds
from planvault.errors import NotAllowed
from planvault.net.ceiling import ceiling_of
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from serve_apps.changes import changed, settings_changed
from serve_apps.dependencies import Actor, Deps, Grant, OnceKey, Organisation, OrganisationProject, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.admin import (
    CreateProject,
    DeletedProjectOut,
    OrgSettingsIn,
    ProjectOut,
    ProjectSettingsIn,
    check_ceiling,
    check_sign_in,
)
from serve_apps.schemas.base import Page
from serve_apps.schemas.members import RenameProject, RestoreProject
from serve_apps.schemas.rate_limits import check_within

router = APIRouter(tags=["admin: projects"])


@router.get("/settings", responses=problems())
async def get_settings(scope: Organisation, deps: Deps) -> OrgSettings:
    return (await deps.tenants.organization(scope)).settings


@router.put("/settings", responses=problems())
async def put_settings(body: OrgSettingsIn, scope: Organisation, deps: Deps, grant: Grant, actor: Actor) -> OrgSettings:
    """What is left out goes back to its default. Whether the routing cache learns is the owners' choice: who is none
    sends it as it is."""
    settings = body.settings()
    check_ceiling(settings.egress, ceiling_of(deps.settings))
    check_sign_in(settings.runtime_policy, "", people_sign_in=bool(deps.settings.oidc_issuer))

    def change(before: OrgSettings) -> OrgSettings:
        _check_learning(grant, before, settings)
        if deps.limits is not None and not grant.principal.is_operator:
            check_within(settings.rate_limits, before.rate_limits, deps.limits.deployment, "/rateLimits")
        return settings

    audit = await settings_changed(deps, scope, actor, _in_full(settings))
    return await deps.tenants.change_organization(scope, change, audit)


@router.post("/projects", status_code=201, response_model=ProjectOut, responses=problems(409))
async def create_project(body: CreateProject, scope: Organisation, deps: Deps, key: OnceKey, actor: Actor) -> Response:
    async def insert(connection: Connection) -> Answer:
        organization = await deps.tenants.organization(scope, connection)
        settings = body.settings.settings(organization.settings, "/settings")
        check_sign_in(settings.runtime_policy, "/settings", people_sign_in=bool(deps.settings.oidc_issuer))
        project = await deps.tenants.create_project(scope, body.name, settings, connection)
        place = ProjectScope(org_id=scope.org_id, project_id=project.id)
        audit = await settings_changed(deps, place, actor, _in_full(settings))
        await audit(connection)
        return Answer(201, wire(ProjectOut.of(project)))

    return respond(await deps.idempotency.once(answers_of(scope), key, insert))


@router.get("/projects", responses=problems())
async def list_projects(scope: Organisation, deps: Deps) -> Page[ProjectOut]:
    return Page[ProjectOut](items=[ProjectOut.of(project) for project in await deps.tenants.projects(scope)])


@router.get("/projects/{projectId}", responses=problems())
async def get_project(scope: OrganisationProject, deps: Deps) -> ProjectOut:
    return ProjectOut.of(await deps.tenants.project(scope))


@router.patch("/projects/{projectId}", responses=problems(409))
async def rename_project(body: RenameProject, scope: OrganisationProject, deps: Deps, actor: Actor) -> ProjectOut:
    """Give it another name. Keys and ids stay."""
    before = await deps.tenants.project(scope)
    what: JsonObject = {"name": body.name, "before": before.name}
    told = await changed(deps, scope, AuditAction.PROJECT_RENAMED, actor, what)
    return ProjectOut.of(await deps.projects.rename(scope, body.name, told))


@router.delete("/projects/{projectId}", status_code=204, responses=problems())
async def delete_project(scope: OrganisationProject, deps: Deps, actor: Actor) -> None:
    """Gone for everybody within seconds: its keys end, its jobs are cancelled, its sessions close, runs under way come
    to their end. For seven days it can be restored (`GET …/deleted-projects`); then what it held is erased."""
    told = await changed(deps, scope, AuditAction.PROJECT_DELETED, actor, {"project": str(scope.project_id)})
    await deps.projects.delete(scope, told)


@router.get("/deleted-projects", responses=problems())
async def list_deleted_projects(scope: Organisation, deps: Deps) -> Page[DeletedProjectOut]:
    """Those that can be restored."""
    return Page[DeletedProjectOut](items=[DeletedProjectOut.of(each) for each in await deps.projects.deleted(scope)])


@router.post("/deleted-projects/{deletedId}/restore", responses=problems(409))
async def restore_project(
    deletedId: UUID,  # noqa: N803 - the path's own name; not projectId: for the gate a deleted project is not there
    scope: Organisation,
    deps: Deps,
    actor: Actor,
    body: RestoreProject | None = None,
) -> ProjectOut:
    """With its settings, its history and the keys that ended with it. Sessions stay closed, jobs cancelled."""
    place = ProjectScope(org_id=scope.org_id, project_id=ProjectId(deletedId))
    told = await changed(deps, place, AuditAction.PROJECT_RESTORED, actor, {"project": str(deletedId)})
    return ProjectOut.of(await deps.projects.restore(place, body.name if body else None, told))


@router.get("/projects/{projectId}/settings", responses=problems())
async def get_project_settings(scope: OrganisationProject, deps: Deps) -> ProjectSettings:
    return (await deps.tenants.project(scope)).settings


@router.put("/projects/{projectId}/settings", responses=problems())
async def put_project_settings(
    body: ProjectSettingsIn, scope: OrganisationProject, deps: Deps, actor: Actor
) -> ProjectSettings:
    """Holds for runs that start from now on."""
    settings = body.settings((await deps.tenants.organization(scope)).settings)
    check_sign_in(settings.runtime_policy, "", people_sign_in=bool(deps.settings.oidc_issuer))
    audit = await settings_changed(deps, scope, actor, _in_full(settings))
    return await deps.tenants.change_project(scope, lambda _: settings, audit)


def _check_learning(grant: Granted, before: OrgSettings, after: OrgSettings) -> None:
    """As PUT /routing-cache, which changes the same. Raises NotAllowed."""

    def learning(settings: OrgSettings) -> tuple[object, ...]:
        return settings.retrieval.routing_cache, settings.retrieval.routing_cache_min_users

    if learning(after) != learning(before) and not holds(grant.principal, grant.role, ROUTING_WRITE):
        raise NotAllowed(
            f"Changing retrieval.routingCache or retrieval.routingCacheMinUsers needs {ROUTING_WRITE}, which your role "
            "lacks: send them as GET shows them"
        )


def _in_full(settings: OrgSettings | ProjectSettings) -> JsonObject:
    return {"settings": settings.model_dump(mode="json", by_alias=True)}
