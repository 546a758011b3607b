"""Manual scenarios: query patterns that people map to tools."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from models.audit import AuditAction, AuditRow
from models.base import JsonObject
from models.ids import ProjectId
from models.tenants import OrgScope
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.scenarios import ScenarioDraft
from planvault.storage.tenancy import within
from planvault.storage.tenants import Witness
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.scenarios.boosts import half_life
from serve_apps import paging
from serve_apps.cache_settings import cache_settings
from serve_apps.dependencies import Actor, ApiDeps, Deps, OnceKey, Organisation, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.scenarios import PutScenario, ScenarioOut

router = APIRouter(prefix="/scenarios", tags=["admin: scenarios"])


@router.post("", status_code=201, response_model=ScenarioOut, responses=problems(409))
async def create_scenario(body: PutScenario, scope: Organisation, deps: Deps, key: OnceKey, actor: Actor) -> Response:
    """Prompts like the samples get these tools, and the planner the instruction."""
    draft = await drafted(deps, body)

    async def create(connection: Connection) -> Answer:
        return await created(deps, connection, scope, draft, actor)

    return respond(await deps.idempotency.once(answers_of(scope), key, create))


@router.get("", responses=problems())
async def list_scenarios(
    scope: Organisation,
    deps: Deps,
    project_id: Annotated[UUID | None, Query(alias="projectId", description="Only those of this project.")] = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> Page[ScenarioOut]:
    """Newest first."""
    before = paging.decode_uuid(cursor)
    wanted = None if project_id is None else ProjectId(project_id)
    found = await deps.scenarios.page(scope, before, limit + 1, project_id=wanted)
    now, life = deps.clock.now(), half_life(await cache_settings(deps, scope))
    items = [ScenarioOut.of(each, now, life) for each in found[:limit]]
    more = len(found) > limit
    return Page[ScenarioOut](items=items, next_cursor=paging.encode(str(items[-1].id)) if more else None)


@router.get("/{scenarioId}", responses=problems())
async def get_scenario(scenarioId: UUID, scope: Organisation, deps: Deps) -> ScenarioOut:  # noqa: N803
    return await shown(deps, scope, scenarioId)


@router.put("/{scenarioId}", responses=problems(409))
async def replace_scenario(
    scenarioId: UUID,  # noqa: N803 - the path's own name
    body: PutScenario,
    scope: Organisation,
    deps: Deps,
    actor: Actor,
) -> ScenarioOut:
    """Replaces what people say of it; what runs have taught it stays."""
    await deps.scenarios.get(scope, scenarioId)  # nothing is embedded for one that is not there
    draft = await drafted(deps, body)
    witness = await witnessed(deps, scope, actor, AuditAction.SCENARIO_CHANGED, told(scenarioId, draft))
    async with within(deps.pool, scope) as connection:
        await deps.scenarios.replace(connection, scope, scenarioId, draft)
        await witness(connection)
    return await shown(deps, scope, scenarioId)


@router.delete("/{scenarioId}", status_code=204, responses=problems())
async def delete_scenario(scenarioId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> None:  # noqa: N803
    witness = await witnessed(deps, scope, actor, AuditAction.SCENARIO_DELETED, {"scenarios": [str(scenarioId)]})
    async with within(deps.pool, scope) as connection:
        await deps.scenarios.delete(connection, scope, scenarioId)
        await witness(connection)


async def drafted(deps: ApiDeps, body: PutScenario) -> ScenarioDraft:
    """With the samples' vectors. Raises Unavailable while nobody embeds."""
    return body.draft(await deps.embedder.embed(body.samples), EMBEDDING_MODEL)


async def created(deps: ApiDeps, connection: Connection, scope: OrgScope, draft: ScenarioDraft, actor: str) -> Answer:
    scenario_id = await deps.scenarios.create(connection, scope, draft, actor, deps.clock.now())
    witness = await witnessed(deps, scope, actor, AuditAction.SCENARIO_CREATED, told(scenario_id, draft))
    await witness(connection)
    return Answer(201, wire(await shown(deps, scope, scenario_id, connection)))


async def shown(
    deps: ApiDeps, scope: OrgScope, scenario_id: UUID, connection: "Connection | None" = None
) -> ScenarioOut:
    found = await deps.scenarios.get(scope, scenario_id, connection)
    settings = await cache_settings(deps, scope, connection)
    return ScenarioOut.of(found, deps.clock.now(), half_life(settings))


def told(scenario_id: UUID, draft: ScenarioDraft) -> JsonObject:
    """For the audit log: everything but the text of the samples."""
    return {
        "scenarioId": str(scenario_id),
        "name": draft.name,
        "projectId": None if draft.project_id is None else str(draft.project_id),
        "priority": draft.priority,
        "enabled": draft.enabled,
        "tools": list(draft.tools),
        "samples": len(draft.samples),
        "systemInstruction": draft.instruction,
    }


async def witnessed(deps: ApiDeps, scope: OrgScope, actor: str, action: AuditAction, details: JsonObject) -> Witness:
    """Writes that `actor` did this, in the transaction of what was done."""
    row = AuditRow(id=deps.ids.new(), at=deps.clock.now(), action=action, details={"actor": actor, **details})
    return await deps.audit.witness(scope.org_id, row)
