"""The organisation's settings, its projects, and their keys."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.base import JsonObject
from models.ids import KeyId
from models.policies import OrgSettings, ProjectSettings
from models.tenants import ProjectScope
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from serve_apps.changes import settings_changed
from serve_apps.dependencies import Actor, Deps, OnceKey, Organisation, OrganisationProject, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.admin import (
    CreateKey,
    CreateProject,
    KeyOut,
    NewKeyOut,
    OrgSettingsIn,
    ProjectOut,
    ProjectSettingsIn,
)
from serve_apps.schemas.base import Page

router = APIRouter(tags=["admin: projects"])


@router.get("/settings", responses=problems())
async def get_settings(scope: Organisation, deps: Deps) -> OrgSettings:
    return (await deps.tenants.organization(scope)).settings


@router.put("/settings", responses=problems())
async def put_settings(body: OrgSettingsIn, scope: Organisation, deps: Deps, actor: Actor) -> OrgSettings:
    settings = body.settings()
    audit = await settings_changed(deps, scope, actor, _in_full(settings))
    return await deps.tenants.change_organization(scope, lambda _: settings, audit)


@router.post("/projects", status_code=201, response_model=ProjectOut, responses=problems(409))
async def create_project(body: CreateProject, scope: Organisation, deps: Deps, key: OnceKey, actor: Actor) -> Response:
    async def insert(connection: Connection) -> Answer:
        organization = await deps.tenants.organization(scope, connection)
        settings = body.settings.settings(organization.settings, "/settings")
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


@router.get("/projects/{projectId}/settings", responses=problems())
async def get_project_settings(scope: OrganisationProject, deps: Deps) -> ProjectSettings:
    return (await deps.tenants.project(scope)).settings


@router.put("/projects/{projectId}/settings", responses=problems())
async def put_project_settings(
    body: ProjectSettingsIn, scope: OrganisationProject, deps: Deps, actor: Actor
) -> ProjectSettings:
    """Holds for runs that start from now on."""
    settings = body.settings((await deps.tenants.organization(scope)).settings)
    audit = await settings_changed(deps, scope, actor, _in_full(settings))
    return await deps.tenants.change_project(scope, lambda _: settings, audit)


def _in_full(settings: OrgSettings | ProjectSettings) -> JsonObject:
    return {"settings": settings.model_dump(mode="json", by_alias=True)}


@router.get("/projects/{projectId}/keys", responses=problems())
async def list_keys(scope: OrganisationProject, deps: Deps) -> Page[KeyOut]:
    return Page[KeyOut](items=[KeyOut.of(key) for key in await deps.api_keys.all(scope)])


@router.post("/projects/{projectId}/keys", status_code=201, response_model=NewKeyOut, responses=problems(409))
async def create_key(body: CreateKey, scope: OrganisationProject, deps: Deps, key: OnceKey) -> Response:
    """The key's text is in this answer and nowhere else."""

    async def insert(connection: Connection) -> Answer:
        made, secret = await deps.api_keys.create(scope, body.name, body.scopes, connection)
        return Answer(201, wire(NewKeyOut.with_text(made, secret.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, insert))


@router.post("/projects/{projectId}/keys/{keyId}/rotate", response_model=NewKeyOut, responses=problems(409))
async def rotate_key(keyId: UUID, scope: OrganisationProject, deps: Deps, key: OnceKey) -> Response:  # noqa: N803
    """A new text under the same id; the old one ends within seconds."""

    async def rotate(connection: Connection) -> Answer:
        made, secret = await deps.api_keys.rotate(scope, KeyId(keyId), connection)
        return Answer(200, wire(NewKeyOut.with_text(made, secret.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, rotate))


@router.delete("/projects/{projectId}/keys/{keyId}", status_code=204, responses=problems())
async def revoke_key(keyId: UUID, scope: OrganisationProject, deps: Deps) -> None:  # noqa: N803
    """For good, within seconds."""
    await deps.api_keys.revoke(scope, KeyId(keyId))
