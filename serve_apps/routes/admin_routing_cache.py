"""The routing cache: what runs have taught about tools, seen, switched and deleted by people."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.audit import AuditAction
from models.policies import OrgSettings
from models.retrieval import RetrievalSettings
from planvault.errors import Conflict
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.routing_cache import CacheEntry
from planvault.storage.tenancy import within
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.scenarios.boosts import half_life
from serve_apps import paging
from serve_apps.cache_settings import cache_settings
from serve_apps.changes import settings_changed
from serve_apps.dependencies import Actor, ApiDeps, Deps, OnceKey, Organisation, answers_of
from serve_apps.routes.admin_scenarios import created, witnessed
from serve_apps.routes.answers import problems, respond
from serve_apps.schemas.base import Page
from serve_apps.schemas.scenarios import (
    MAX_TOOLS,
    AdoptSuggestion,
    CacheEntryOut,
    Cleared,
    PutRoutingCache,
    RoutingCacheOut,
    RoutingCacheSettings,
    ScenarioOut,
)

router = APIRouter(prefix="/routing-cache", tags=["admin: routing cache"])

# When a pattern is worth a person's attention: successes, faded to when they were last counted, and the rate.
SUGGESTED_SUCCESSES = 2.5
SUGGESTED_RATE = 0.6


@router.get("", responses=problems())
async def get_routing_cache(
    scope: Organisation, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> RoutingCacheOut:
    """Its settings and entries, newest first: tools, counts, rates and times. No prompt is kept, so none is shown."""
    settings = await cache_settings(deps, scope)
    found = await deps.routing_cache.page(scope, paging.decode_uuid(cursor), limit + 1)
    items = [_shown(deps, each, settings) for each in found[:limit]]
    return RoutingCacheOut(
        settings=_settings(settings),
        entries=await deps.routing_cache.size(scope),
        items=items,
        next_cursor=paging.encode(str(items[-1].id)) if len(found) > limit else None,
    )


@router.put("", responses=problems())
async def put_routing_cache(
    body: PutRoutingCache, scope: Organisation, deps: Deps, actor: Actor
) -> RoutingCacheSettings:
    """Switch it, or say how many people must share an intent. What was learned stays until it is deleted."""
    decided: dict[str, object] = {}
    if body.enabled is not None:
        decided["routing_cache"] = body.enabled
    if body.min_users is not None:
        decided["routing_cache_min_users"] = body.min_users

    def change(settings: OrgSettings) -> OrgSettings:
        return settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update=decided)})

    told = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    audit = await settings_changed(deps, scope, actor, {"routingCache": told})
    await deps.tenants.change_organization(scope, change, audit)
    return _settings(await cache_settings(deps, scope))


@router.delete("", responses=problems())
async def clear_routing_cache(scope: Organisation, deps: Deps, actor: Actor) -> Cleared:
    """Delete every entry, with the vectors of the prompts behind it."""
    witness = await witnessed(deps, scope, actor, AuditAction.ROUTING_CACHE_CLEARED, {"entry": None})
    async with within(deps.pool, scope) as connection:
        deleted = await deps.routing_cache.clear(connection, scope)
        await witness(connection)
    return Cleared(deleted=deleted)


@router.get("/suggestions", responses=problems())
async def list_suggestions(
    scope: Organisation, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[CacheEntryOut]:
    """Entries that runs have supported often and well. A page may hold fewer than `limit`, or none, before the last."""
    settings = await cache_settings(deps, scope)
    found = await deps.routing_cache.page(scope, paging.decode_uuid(cursor), limit + 1, least=SUGGESTED_SUCCESSES)
    more, last = len(found) > limit, found[:limit][-1] if found else None
    items = [_shown(deps, each, settings) for each in found[:limit]]
    good = [each for each in items if each.successes >= SUGGESTED_SUCCESSES and each.success_rate >= SUGGESTED_RATE]
    return Page[CacheEntryOut](items=good, next_cursor=paging.encode(str(last.id)) if more and last else None)


@router.post("/suggestions/{entryId}", status_code=201, response_model=ScenarioOut, responses=problems(409))
async def adopt_suggestion(
    entryId: UUID,  # noqa: N803 - the path's own name
    body: AdoptSuggestion,
    scope: Organisation,
    deps: Deps,
    key: OnceKey,
    actor: Actor,
) -> Response:
    """Make a manual scenario of an entry, which it takes the place of. The person supplies name and samples."""
    vectors = await deps.embedder.embed(body.samples)

    async def adopt(connection: Connection) -> Answer:
        entry = await deps.routing_cache.get(scope, entryId, connection)
        offered = [ref.name for ref in entry.tools if ref.offered]
        if not (body.tools or offered):
            raise Conflict("The catalog offers none of the entry's tools now. Name the tools of the scenario.")
        if not body.tools and len(offered) > MAX_TOOLS:
            raise Conflict(f"The entry has {len(offered)} tools, a scenario at most {MAX_TOOLS}. Name those of them.")
        draft = body.scenario(offered).draft(vectors, EMBEDDING_MODEL)
        answer = await created(deps, connection, scope, draft, actor)
        await deps.routing_cache.delete(connection, scope, entryId)
        return answer

    return respond(await deps.idempotency.once(answers_of(scope), key, adopt))


@router.delete("/{entryId}", status_code=204, responses=problems())
async def delete_entry(entryId: UUID, scope: Organisation, deps: Deps, actor: Actor) -> None:  # noqa: N803
    """One entry, with the vectors of the prompts behind it."""
    witness = await witnessed(deps, scope, actor, AuditAction.ROUTING_CACHE_CLEARED, {"entry": str(entryId)})
    async with within(deps.pool, scope) as connection:
        await deps.routing_cache.delete(connection, scope, entryId)
        await witness(connection)


def _shown(deps: ApiDeps, entry: CacheEntry, settings: RetrievalSettings) -> CacheEntryOut:
    users = settings.routing_cache_min_users if settings.routing_cache else None
    return CacheEntryOut.of(entry, deps.clock.now(), half_life(settings), users=users)


def _settings(settings: RetrievalSettings) -> RoutingCacheSettings:
    return RoutingCacheSettings(
        enabled=settings.routing_cache,
        min_users=settings.routing_cache_min_users,
        half_life_days=settings.decay_half_life_days,
    )
