"""The organisation's catalog: register, replace and remove API descriptions, and watch their imports."""

from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from models.audit import AuditAction
from models.base import JsonObject
from models.ids import ImportId, IntegrationId
from models.imports import ImportJob
from models.tenants import OrgScope
from planvault.errors import FieldError, InvalidInput
from planvault.storage import catalog, catalog_imports, catalog_tools
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.scenarios import leave_integration
from planvault.storage.tenancy import scoped, within
from serve_apps import spec_upload
from serve_apps.changes import record
from serve_apps.dependencies import Actor, ApiDeps, Deps, OnceKey, Organisation, answers_of
from serve_apps.paging import Cursor, Limit, decode, encode
from serve_apps.routes.admin_scenarios import witnessed
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page, without_nul
from serve_apps.schemas.imports import (
    ImportOut,
    ImportSummary,
    PutTools,
    RegisteredTools,
    RegisteredToolsDetail,
    ToolsAccepted,
)

router = APIRouter(tags=["admin: tools"])

# The body is read by hand (serve_apps.spec_upload), so the document needs its description by hand.
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/PutTools"}},
            "application/yaml": {
                "schema": {"type": "string"},
                "example": "openapi: 3.1.0\ninfo: {title: Task API, version: '1'}\npaths: {}\n",
            },
        },
    }
}


@router.post("/tools", status_code=201, response_model=ToolsAccepted, responses=problems(409, 415), openapi_extra=_BODY)
async def register_tools(request: Request, scope: Organisation, deps: Deps, key: OnceKey, actor: Actor) -> Response:
    """Import an OpenAPI or Swagger document, one tool an operation. A bare YAML document takes `name`, `displayName`
    and `baseUrl` from the query."""
    body = await spec_upload.read(request)
    integration_id = IntegrationId(deps.ids.new())

    async def register(connection: Connection) -> Answer:
        await catalog.create_integration(
            connection,
            scope,
            integration_id,
            alias=body.name,
            display_name=body.display_name or body.name,
            base_url=body.base_url or "",
        )
        job = await _import(deps, connection, scope, integration_id, body)
        what = _told(integration_id, body.name, job, body)
        await record(deps, connection, scope, AuditAction.INTEGRATION_REGISTERED, actor, what)
        return Answer(201, wire(ToolsAccepted(tool_id=integration_id, import_id=job.id)))

    return respond(await deps.idempotency.once(answers_of(scope), key, register))


@router.put("/tools/{toolId}", responses=problems(409, 415), openapi_extra=_BODY)
async def replace_tools(
    toolId: UUID,  # noqa: N803 - the path's own name
    request: Request,
    scope: Organisation,
    deps: Deps,
    actor: Actor,
) -> ToolsAccepted:
    """Import the document anew. Unchanged tools keep their version; projects keep their decisions."""
    integration_id = IntegrationId(toolId)
    found = await catalog.get_integration(scoped(deps.pool, scope), scope, integration_id)
    body = await spec_upload.read(request)
    if body.name != found.alias:
        fault = FieldError("/name", f"this integration is {found.alias}; plans and projects know it by that name")
        raise InvalidInput("An integration keeps its name.", errors=(fault,))
    async with within(deps.pool, scope) as connection:
        await catalog.update_integration(
            connection, scope, integration_id, display_name=body.display_name, base_url=body.base_url
        )
        job = await _import(deps, connection, scope, integration_id, body)
        what = _told(integration_id, found.alias, job, body)
        await record(deps, connection, scope, AuditAction.INTEGRATION_REPLACED, actor, what)
    return ToolsAccepted(tool_id=integration_id, import_id=job.id)


@router.delete("/tools/{toolId}", status_code=204, responses=problems(409))
async def delete_tools(
    toolId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    deps: Deps,
    actor: Actor,
    confirm: Annotated[bool, Query(alias="confirmDeleteScenarios", description="Delete its scenarios too.")] = False,
) -> None:
    """Remove an integration with its tools of every version, its imports and the projects' decisions about it.

    409 `TOOL_DELETE_BLOCKED_BY_SCENARIOS` while scenarios name its tools, unless `confirmDeleteScenarios=true`."""
    integration_id = IntegrationId(toolId)
    found = await catalog.get_integration(scoped(deps.pool, scope), scope, integration_id)
    async with within(deps.pool, scope) as connection:
        gone = await leave_integration(connection, scope, integration_id, delete_scenarios=confirm)
        if gone:
            told: JsonObject = {"integration": found.alias, "names": [*gone]}
            await (await witnessed(deps, scope, actor, AuditAction.SCENARIO_DELETED, told))(connection)
        await catalog.delete_integration(connection, scope, integration_id)
        what: JsonObject = {"integration": found.alias, "integrationId": str(integration_id)}
        await record(deps, connection, scope, AuditAction.INTEGRATION_DELETED, actor, what)


@router.get("/tools", responses=problems())
async def list_tools(
    scope: Organisation,
    deps: Deps,
    name: Annotated[
        str | None, Query(max_length=63, description="The one of this name."), AfterValidator(without_nul)
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> Page[RegisteredTools]:
    """By name."""
    after = decode(cursor) if cursor else ""
    found = await catalog.list_integrations(scoped(deps.pool, scope), scope, after=after, limit=limit + 1, alias=name)
    more, found = len(found) > limit, found[:limit]
    return Page[RegisteredTools](
        items=[RegisteredTools.of(one) for one in found], next_cursor=encode(found[-1].alias) if more else None
    )


@router.get("/tools/{toolId}", responses=problems())
async def get_tools(toolId: UUID, scope: Organisation, deps: Deps) -> RegisteredToolsDetail:  # noqa: N803
    integration_id = IntegrationId(toolId)
    found = RegisteredTools.of(await catalog.get_integration(scoped(deps.pool, scope), scope, integration_id))
    names = await catalog_tools.names_of_integration(scoped(deps.pool, scope), scope, integration_id)
    jobs = await catalog_imports.list_imports(scoped(deps.pool, scope), scope, integration_id)
    return RegisteredToolsDetail(**found.model_dump(), tools=names, imports=[ImportSummary.of(job) for job in jobs])


@router.get("/imports", responses=problems())
async def list_imports(
    scope: Organisation,
    deps: Deps,
    tool_id: Annotated[UUID, Query(alias="toolId", description="The integration.")],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Page[ImportSummary]:
    """Newest first."""
    await catalog.get_integration(scoped(deps.pool, scope), scope, IntegrationId(tool_id))
    jobs = await catalog_imports.list_imports(scoped(deps.pool, scope), scope, IntegrationId(tool_id), limit)
    return Page[ImportSummary](items=[ImportSummary.of(job) for job in jobs])


@router.get("/imports/{importId}", responses=problems())
async def get_import(importId: UUID, scope: Organisation, deps: Deps) -> ImportOut:  # noqa: N803
    """Progress, and what became of each operation."""
    return ImportOut.of(await catalog_imports.get_import(scoped(deps.pool, scope), scope, ImportId(importId)))


async def _import(
    deps: ApiDeps, connection: Connection, scope: OrgScope, integration_id: IntegrationId, body: PutTools
) -> ImportJob:
    return await catalog_imports.create_import(
        connection,
        scope,
        ImportId(deps.ids.new()),
        integration_id,
        document=body.document,
        spec_url=body.spec_url,
    )


def _told(integration_id: IntegrationId, alias: str, job: ImportJob, body: PutTools) -> JsonObject:
    """For the audit log: where the document comes from, not what it says. Addresses hold credentials; hosts do not."""
    return {
        "integration": alias,
        "integrationId": str(integration_id),
        "importId": str(job.id),
        "specHost": None if body.spec_url is None else urlsplit(body.spec_url).hostname,
    }
