"""Organisations of the installation: made, listed, given their first OWNER."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from models.access import Asker, Invitation, Role
from models.audit import AuditAction
from models.base import JsonObject
from models.ids import OrgId
from models.tenants import OrgScope
from planvault.errors import Conflict
from planvault.ingestion.native import install_native_tools
from planvault.storage.invitations import checked_address
from planvault.storage.pool import Connection
from planvault.storage.tenancy import within
from serve_apps import paging, readiness
from serve_apps.changes import changed, record
from serve_apps.dependencies import Actor, ApiDeps, Deps
from serve_apps.routes.answers import problems, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.health import Health
from serve_apps.schemas.members import NewInvitationOut
from serve_apps.superadmin.parts import PlatformDeps
from serve_apps.superadmin.policy import PREFIX
from serve_apps.superadmin.schemas import (
    CreateOrganization,
    DeletionOut,
    InviteOwner,
    NewOrganizationOut,
    OrganizationOut,
    PatchOrganization,
)

router = APIRouter(prefix=PREFIX, tags=["operators"])


@router.get("/health", response_model=Health, responses={503: {"model": Health, "description": "Not ready"}})
async def health(deps: Deps) -> Response:
    """200 when every part that a run needs is there, 503 with the same body otherwise."""
    found = await readiness.check(deps.probes)
    return JSONResponse(wire(found), status_code=200 if found.ready else 503)


@router.post("/orgs", status_code=201, responses=problems())
async def create_organization(
    body: CreateOrganization, deps: Deps, platform: PlatformDeps, actor: Actor
) -> NewOrganizationOut:
    """A new organisation with the platform's own tools and, where `ownerEmail` is given, an invitation of its first
    OWNER. Names need not be unique."""
    if body.owner_email is not None:
        checked_address(body.owner_email, "/ownerEmail")  # before anything is made
    # None stays behind that has no keys, no log and no tools.
    await deps.key_providers.prove(deps.key_providers.primary)
    made = await deps.tenants.create_organization(body.name)
    scope = OrgScope(org_id=made.id)
    try:
        await install_native_tools(deps.pool, scope, deps.ids)
        # The first row of its log, in a transaction of its own: an organisation has keys once it is there. Last, since
        # one that has a log is not taken back.
        written = await changed(deps, scope, AuditAction.ORGANIZATION_CREATED, actor, {"name": made.name})
        async with within(deps.pool, scope) as connection:
            await written(connection)
    except BaseException:  # also where the caller hung up: nobody knows of it then
        await platform.organizations.take_back(scope)
        raise
    invitation = None if body.owner_email is None else await _invited(deps, scope, body.owner_email, actor)
    return NewOrganizationOut(
        organization=OrganizationOut.of(await platform.organizations.get(made.id)), invitation=invitation
    )


@router.get("/orgs", responses=problems())
async def list_organizations(
    platform: PlatformDeps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[OrganizationOut]:
    """Oldest first, the deleted ones that can be restored included."""
    after = paging.decode_uuid(cursor)
    found = await platform.organizations.page(None if after is None else OrgId(after), limit + 1)
    items = [OrganizationOut.of(each) for each in found[:limit]]
    more = len(found) > limit
    return Page[OrganizationOut](items=items, next_cursor=paging.encode(str(items[-1].id)) if more else None)


@router.get("/orgs/{organizationId}", responses=problems())
async def get_organization(organizationId: UUID, platform: PlatformDeps) -> OrganizationOut:  # noqa: N803
    return OrganizationOut.of(await platform.organizations.get(OrgId(organizationId)))


@router.patch("/orgs/{organizationId}", responses=problems())
async def patch_organization(
    organizationId: UUID,  # noqa: N803 - the path's own name
    body: PatchOrganization,
    deps: Deps,
    platform: PlatformDeps,
    actor: Actor,
) -> OrganizationOut:
    """What it may have. Keys beyond a smaller quota stay; no further one is made."""
    found = await platform.organizations.get(OrgId(organizationId))
    scope = OrgScope(org_id=found.id)
    what: JsonObject = {"keysPerProject": body.keys_per_project, "before": found.keys_per_project}
    witness = await changed(deps, scope, AuditAction.ORGANIZATION_LIMITED, actor, what)
    await platform.organizations.set_quota(scope, body.keys_per_project, witness)
    return OrganizationOut.of(await platform.organizations.get(found.id))


@router.post("/orgs/{organizationId}/owner-invitation", status_code=201, responses=problems(409))
async def invite_owner(
    organizationId: UUID,  # noqa: N803 - the path's own name
    body: InviteOwner,
    deps: Deps,
    platform: PlatformDeps,
    actor: Actor,
) -> NewInvitationOut:
    """The first OWNER of an organisation that has none. Where there is one, they invite others: whoever runs the
    installation does not get into an organisation unseen."""
    found = await platform.organizations.get(OrgId(organizationId))
    if found.deleted_at is not None:
        raise Conflict("The organisation is deleted: restore it first")
    if found.owners:
        raise Conflict("The organisation has an OWNER, who invites others")
    return await _invited(deps, OrgScope(org_id=found.id), body.email, actor)


@router.delete("/orgs/{organizationId}", status_code=202, responses=problems(409))
async def delete_organization(
    organizationId: UUID,  # noqa: N803 - the path's own name
    deps: Deps,
    platform: PlatformDeps,
    actor: Actor,
    confirm: Annotated[str, Query(max_length=200, description="The organisation's name: ids are easily mixed up.")],
) -> DeletionOut:
    """Shut for everybody within seconds. It can be restored for seven days; then its keys are destroyed, and with them
    whatever was encrypted, in backups as well."""
    found = await platform.organizations.get(OrgId(organizationId))
    if confirm != found.name:
        raise Conflict("`confirm` is not the name of this organisation: nothing was deleted")
    scope = OrgScope(org_id=found.id)
    witness = await changed(deps, scope, AuditAction.ORGANIZATION_DELETED, actor, {"name": found.name})
    return DeletionOut.of(await platform.deletions.delete(scope, actor, witness))


@router.get("/orgs/{organizationId}/deletion", responses=problems())
async def get_deletion(organizationId: UUID, platform: PlatformDeps) -> DeletionOut:  # noqa: N803 - the path's own name
    """The newest deletion of an organisation, whoever asked for it: how far it is. Also when nothing else is left."""
    return DeletionOut.of(await platform.deletions.find(OrgScope(org_id=OrgId(organizationId))))


@router.post("/orgs/{organizationId}/restore", responses=problems(409))
async def restore_organization(
    organizationId: UUID,  # noqa: N803 - the path's own name
    deps: Deps,
    platform: PlatformDeps,
    actor: Actor,
) -> OrganizationOut:
    """As it was, but for the runs that were stopped. 409 where its keys are destroyed already."""
    found = await platform.organizations.get(OrgId(organizationId))
    if found.deleted_at is None:
        raise Conflict("The organisation is not deleted")
    scope = OrgScope(org_id=found.id)
    witness = await changed(deps, scope, AuditAction.ORGANIZATION_RESTORED, actor, {"name": found.name})
    await platform.deletions.restore(scope, witness)
    return OrganizationOut.of(await platform.organizations.get(found.id))


async def _invited(deps: ApiDeps, scope: OrgScope, email: str, actor: str) -> NewInvitationOut:
    async def told(connection: Connection, made: Invitation) -> None:
        what: JsonObject = {"invitation": str(made.id), "email": made.email, "role": made.role.value}
        await record(deps, connection, scope, AuditAction.MEMBER_INVITED, actor, what)

    async with within(deps.pool, scope) as connection:
        made, token = await deps.invitations.invite(
            scope, email, Role.OWNER, Asker(role=Role.OWNER), actor, told, connection
        )
    return NewInvitationOut.with_token(made, token.text)
