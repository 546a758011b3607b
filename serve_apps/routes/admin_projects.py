"""The organisation's settings, its projects, and their keys."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.audit import AuditAction, AuditRow
from models.ids import KeyId
from models.policies import OrgSettings, ProjectSettings
from models.tenants import OrgScope, ProjectScope
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.tenants import Witness
from serve_apps.dependencies import Actor, ApiDeps, Deps, OnceKey, Organisation, OrganisationProject, answers_of
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
    audit = await _changed(deps, scope, actor, settings)
    return await deps.tenants.change_organization(scope, lambda _: settings, audit)


@router.post("/projects", status_code=201, response_model=ProjectOut, responses=problems(409))
async def create_project(body: CreateProject, scope: Organisation, deps: Deps, key: OnceKey) -> Response:
    async def insert(connection: Connection) -> Answer:
        organization = await deps.tenants.organization(scope, connection)
        settings = body.settings.settings(organization.settings, "/settings")
        project = await deps.tenants.create_project(scope, body.name, settings, connection)
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
    audit = await _changed(deps, scope, actor, settings)
    return await deps.tenants.change_project(scope, lambda _: settings, audit)


async def _changed(deps: ApiDeps, scope: OrgScope, actor: str, settings: OrgSettings | ProjectSettings) -> Witness:
    """Writes into the audit log, in the transaction of the change, who set what."""
    row = AuditRow(
        id=deps.ids.new(),
        at=deps.clock.now(),
        action=AuditAction.SETTINGS_CHANGED,
        details={"actor": actor, "settings": settings.model_dump(mode="json", by_alias=True)},
        project_id=scope.project_id if isinstance(scope, ProjectScope) else None,
    )
    return await deps.audit.witness(scope.org_id, row)


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
