"""The candidates of each tier. Tiers differ in where they look, never in how what they find is ranked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from models.ids import ToolId
from models.planning import SelectionTier
from models.tenants import ProjectScope
from retrieval.facts import Facts
from retrieval.groups.routed import Routed
from retrieval.groups.router import GroupRouter
from retrieval.index.port import PoolLimits, ToolIndex
from retrieval.query import Pool, Query
from retrieval.stages import Stages
from retrieval.tiers import Chosen

# A catalog of this size is one pool; a larger one is searched, whatever tier was asked for.
WHOLE: Final = 400
# Tools that have no group yet are searched beside the groups; more of them than this, and all tools are.
MAX_UNGROUPED: Final = 2_000
# Candidates that each part of the prompt brings at least, by vector and by text, and twice the shortlist where that is
# more: what stands far down in both may be first in their sum.
SEARCHED: Final = 100


@dataclass(frozen=True, slots=True)
class Found:
    """`routed`: what the hierarchical tier's first stage answered, None in the other tiers. `note`: for people."""

    pool: Pool
    routed: Routed | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finder:
    index: ToolIndex
    router: GroupRouter

    async def find(
        self,
        scope: ProjectScope,
        query: Query,
        chosen: Chosen,
        facts: Facts,
        stages: Stages,
        include: Sequence[ToolId] = (),
    ) -> Found:
        """`include`: tools that are candidates whatever was found."""
        routed = None
        if chosen.tier is SelectionTier.HIERARCHICAL_RAG and not query.blind:
            with stages.timed("route"):
                routed = await self.router.route(scope, query, facts.settings.centroid_top_k)
        groups, note = _opened(routed)
        with stages.timed("search"):
            pool = await self.index.search(scope, query, _limits(query, chosen, facts), groups, include)
        return Found(_without_cosines(pool) if query.blind else pool, routed, note)


def _limits(query: Query, chosen: Chosen, facts: Facts) -> PoolLimits:
    if facts.size <= WHOLE and chosen.tier is not SelectionTier.HIERARCHICAL_RAG:
        return PoolLimits(dense=0, lexical=0, whole=True)
    most = max(SEARCHED, 2 * chosen.limit)
    return PoolLimits(dense=0 if query.blind else most, lexical=most)


def _without_cosines(pool: Pool) -> Pool:
    return Pool(pool.tools, np.full_like(pool.dense, np.nan), pool.lexical, pool.lexical_ceiling)


def _opened(routed: Routed | None) -> tuple[list[UUID] | None, str]:
    """The groups to search, None for the whole catalog, and what there is to say of it."""
    if routed is None:
        return None, ""
    if not routed.groups:
        return None, "The catalog has no groups yet: all of it was searched."
    if routed.ungrouped > MAX_UNGROUPED:
        return None, f"{routed.ungrouped} tools have no group yet: the whole catalog was searched."
    return routed.group_ids, ""
