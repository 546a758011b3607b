"""What a project's planner may use, and the project's decisions about it."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query

from models.tenants import ProjectScope
from planvault.storage import catalog, catalog_tools
from planvault.storage.tenancy import scoped, within
from serve_apps import paging
from serve_apps.changes import settings_changed
from serve_apps.dependencies import Actor, ApiDeps, Deps, InProject
from serve_apps.routes.answers import problems
from serve_apps.schemas.base import Page
from serve_apps.schemas.tools import (
    Alias,
    IntegrationOut,
    IntegrationsOut,
    PutIntegration,
    PutIntegrations,
    PutNamedIntegration,
    SelectionOut,
    TestSelection,
    ToolOut,
)

router = APIRouter(prefix="/tools", tags=["tools"])


class ToolListType(StrEnum):
    TOOL = "tool"
    INTEGRATION = "integration"


@router.get("", responses=problems())
async def list_tools(
    scope: InProject,
    deps: Deps,
    type: Annotated[ToolListType, Query()] = ToolListType.TOOL,  # noqa: A002 - the query's own name
    cursor: paging.Cursor = None,
    limit: paging.Limit = 100,
) -> Page[ToolOut] | Page[IntegrationOut]:
    """The project's enabled tools by name; with `type=integration` every integration and its state here."""
    if type is ToolListType.INTEGRATION:
        return Page[IntegrationOut](items=await _integrations(deps, scope))
    after = paging.decode(cursor) if cursor else ""
    found = await catalog_tools.list_tools(scoped(deps.pool, scope), scope, after=after, limit=limit + 1)
    items = [ToolOut.of(tool) for tool in found[:limit]]
    more = len(found) > limit
    return Page[ToolOut](items=items, next_cursor=paging.encode(items[-1].name) if more else None)


@router.put("/integrations", responses=problems())
async def put_integrations(body: PutIntegrations, scope: InProject, deps: Deps, actor: Actor) -> IntegrationsOut:
    """Several integrations at once: all of them change, or none."""
    await _store(deps, scope, body.integrations, actor)
    changed = {one.alias for one in body.integrations}
    return IntegrationsOut(items=[one for one in await _integrations(deps, scope) if one.alias in changed])


@router.put("/integrations/{alias}", responses=problems())
async def put_integration(
    alias: Annotated[Alias, Path()], body: PutIntegration, scope: InProject, deps: Deps, actor: Actor
) -> IntegrationOut:
    """Enable or disable an integration in this project, set its approval policy and its auth headers."""
    named = PutNamedIntegration.model_validate({"alias": alias, **body.model_dump(by_alias=True)})
    await _store(deps, scope, [named], actor)
    return next(one for one in await _integrations(deps, scope) if one.alias == alias)


@router.post("/test-selection", tags=["selection"], responses=problems())
async def test_selection(body: TestSelection, scope: InProject, deps: Deps) -> SelectionOut:
    """A dry run of tool selection: tier, timings, every candidate with every score."""
    return SelectionOut.of(await deps.selector.select(scope, body.query, body.options()))


async def _integrations(deps: ApiDeps, scope: ProjectScope) -> list[IntegrationOut]:
    cipher = await deps.keyring.cipher(scope.org_id)
    return [
        IntegrationOut.of(one) for one in await catalog.project_integrations(scoped(deps.pool, scope), scope, cipher)
    ]


async def _store(deps: ApiDeps, scope: ProjectScope, wanted: list[PutNamedIntegration], actor: str) -> None:
    cipher = await deps.keyring.cipher(scope.org_id)
    # In one order for everybody: two batches that meet must not each wait for a row of the other's.
    wanted = sorted(wanted, key=lambda each: each.alias)
    audits = [await settings_changed(deps, scope, actor, one.told()) for one in wanted]
    async with within(deps.pool, scope) as connection:
        for one, audit in zip(wanted, audits, strict=True):
            integration = await catalog.find_integration(connection, scope, one.alias)
            await catalog.set_integration_state(connection, scope, integration.id, one.state(), cipher)
            await audit(connection)
        shards = await deps.commands.credentials_changed(connection, scope, actor)  # an auth header may have been wrong
    for shard in shards:
        await deps.commands.wake(shard)
