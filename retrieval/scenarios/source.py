"""Boosts out of the database: one look a selection, always in the scope of one project."""

from __future__ import annotations

from collections.abc import Sequence

from models.retrieval import RetrievalSettings
from models.tenants import ProjectScope
from planvault.ports import Clock, Keyring
from planvault.storage.pool import Pool
from planvault.storage.scenario_index import NearScenario, Wanted, instruction_of, near_scenarios, usage_of
from planvault.storage.tenancy import within
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.query import Query
from retrieval.scenarios.boosts import (
    MATCH,
    NO_BOOSTS,
    Boosts,
    KnownScenario,
    MatchedScenario,
    half_life,
    matched,
    scenario_contributions,
    usage_contributions,
)
from retrieval.scenarios.rates import Tally


class BoostSource:
    def __init__(self, pool: Pool, keyring: Keyring, clock: Clock, *, model: str = EMBEDDING_MODEL) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock
        self._model = model

    async def of(self, scope: ProjectScope, query: Query, settings: RetrievalSettings) -> Boosts:
        """What scenarios and usage say of this query. Raises what the database raises."""
        wanted = _wanted(settings, self._model)
        uses_count = settings.usage_boost_cap * settings.weights.usage > 0
        if wanted is None and not uses_count:
            return NO_BOOSTS
        now = self._clock.now()
        async with within(self._pool, scope) as connection:
            near = [] if wanted is None else await near_scenarios(connection, scope, query.vectors, wanted)
            uses = await usage_of(connection, scope, now, half_life(settings)) if uses_count else {}
        found = matched([_known(each) for each in near], settings, now)
        chosen = next((each for each in found if each.brought_in), None)
        return Boosts(
            scenario=scenario_contributions(found),
            usage=usage_contributions(uses, settings),
            bring_in=tuple(dict.fromkeys(tool for each in found if each.brought_in for tool in each.tools)),
            chosen=chosen,
            instruction=await self._instruction(scope, near, chosen),
            matched=found,
        )

    async def _instruction(
        self, scope: ProjectScope, near: Sequence[NearScenario], chosen: MatchedScenario | None
    ) -> str:
        if chosen is None:
            return ""
        return await instruction_of(self._keyring, scope, next(each for each in near if each.id == chosen.id))


def _wanted(settings: RetrievalSettings, model: str) -> Wanted | None:
    if settings.weights.scenario == 0 or not (settings.scenarios or settings.routing_cache):
        return None
    return Wanted(
        model=model,
        least=MATCH,
        users=settings.routing_cache_min_users,
        manual=settings.scenarios,
        automatic=settings.routing_cache,
    )


def _known(near: NearScenario) -> KnownScenario:
    tally = Tally(near.successes, near.failures, near.counted_at)
    return KnownScenario(near.id, near.name, near.priority, near.tools, tally, near.similarity)
