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

# A catalog of this size is one pool; a larger one is searched, whatever tier was asked for.
WHOLE: Final = 400
# Tools that have no group yet are searched beside the groups; more of them than this, and all tools are.
MAX_UNGROUPED: Final = 2_000
# Of each part of the prompt.
SEARCHED: Final = PoolLimits(dense=100, lexical=100)
BY_TEXT: Final = PoolLimits(dense=0, lexical=200)
EVERYTHING: Final = PoolLimits(dense=0, lexical=0, whole=True)


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
        tier: SelectionTier,
        facts: Facts,
        stages: Stages,
        include: Sequence[ToolId] = (),
    ) -> Found:
        """`include`: tools that are candidates whatever was found."""
        routed = None
        if tier is SelectionTier.HIERARCHICAL_RAG and not query.blind:
            with stages.timed("route"):
                routed = await self.router.route(scope, query, facts.settings.centroid_top_k)
        groups, note = _opened(routed)
        with stages.timed("search"):
            pool = await self.index.search(scope, query, _limits(query, tier, facts), groups, include)
        return Found(_without_cosines(pool) if query.blind else pool, routed, note)


def _limits(query: Query, tier: SelectionTier, facts: Facts) -> PoolLimits:
    if facts.size <= WHOLE and tier is not SelectionTier.HIERARCHICAL_RAG:
        return EVERYTHING
    return BY_TEXT if query.blind else SEARCHED


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
