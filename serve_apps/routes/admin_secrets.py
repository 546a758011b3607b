"""Secrets of the organisation and of its projects. A session's wins over its project's over its organisation's."""

from typing import Annotated

from fastapi import APIRouter, Path

from models.tenants import OrgScope
from serve_apps.dependencies import Actor, ApiDeps, Deps, Organisation, OrganisationProject
from serve_apps.routes.answers import problems
from serve_apps.routes.secret_changes import change_secrets, delete_secrets
from serve_apps.schemas.admin import SecretOut
from serve_apps.schemas.base import Page
from serve_apps.schemas.sessions import PutSecrets, SecretName

router = APIRouter(tags=["admin: secrets"])

Name = Annotated[SecretName, Path()]


@router.get("/secrets", responses=problems())
async def list_secrets(scope: Organisation, deps: Deps) -> Page[SecretOut]:
    """Names only: values never come back out."""
    return await _names(deps, scope)


@router.put("/secrets", status_code=204, responses=problems())
async def put_secrets(body: PutSecrets, scope: Organisation, deps: Deps, actor: Actor) -> None:
    """Add or replace; the others stay. Runs that wait for a credential call again."""
    await change_secrets(deps, scope, body, actor)


@router.delete("/secrets/{name}", status_code=204, responses=problems())
async def delete_secret(name: Name, scope: Organisation, deps: Deps, actor: Actor) -> None:
    await delete_secrets(deps, scope, name, actor)


@router.get("/projects/{projectId}/secrets", responses=problems())
async def list_project_secrets(scope: OrganisationProject, deps: Deps) -> Page[SecretOut]:
    """Names only: values never come back out."""
    return await _names(deps, scope)


@router.put("/projects/{projectId}/secrets", status_code=204, responses=problems())
async def put_project_secrets(body: PutSecrets, scope: OrganisationProject, deps: Deps, actor: Actor) -> None:
    """Add or replace; the others stay. Runs that wait for a credential call again."""
    await change_secrets(deps, scope, body, actor)


@router.delete("/projects/{projectId}/secrets/{name}", status_code=204, responses=problems())
async def delete_project_secret(name: Name, scope: OrganisationProject, deps: Deps, actor: Actor) -> None:
    await delete_secrets(deps, scope, name, actor)


async def _names(deps: ApiDeps, scope: OrgScope) -> Page[SecretOut]:
    found = await deps.secrets.names_at(scope)
    return Page[SecretOut](items=[SecretOut(name=one.name, updated_at=one.updated_at) for one in found])
