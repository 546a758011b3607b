"""The candidates of each tier. Tiers differ in where they look, never in how what they find is ranked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from retrieval.producers import Lacking
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
# Producers that the index is asked for, of each input that the best candidates lack.
PRODUCERS: Final = 10


@dataclass(frozen=True, slots=True)
class Found:
    """`routed`: what the hierarchical tier's first stage answered, None in the other tiers. `note`: for people."""

    pool: Pool
    routed: Routed | None = None
    note: str = ""
    whole: bool = False  # the pool is the project's catalog


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
                routed = await self.router.route(scope, query, facts.settings.centroid_top_k, facts.catalog)
        groups, note = _opened(routed)
        with stages.timed("search"):
            limits = _limits(query, chosen, facts)
            pool = await self.index.search(scope, query, limits, groups, include, facts.catalog)
        return Found(_readable(pool, query), routed, note, limits.whole)

    async def with_producers(
        self, scope: ProjectScope, query: Query, found: Found, lacking: Lacking, facts: Facts
    ) -> Found:
        """What was found and, with all their scores, tools that give what its best tools lack."""
        known = {tool.tool_id for tool in found.pool.tools}
        producers = await self.index.producers(scope, lacking.integrations, lacking.entities, PRODUCERS, facts.catalog)
        fresh = [tool.tool_id for tool in producers if tool.tool_id not in known]
        if not fresh:
            return found
        nothing = PoolLimits(dense=0, lexical=0)
        more = await self.index.search(scope, query, nothing, None, fresh, facts.catalog)
        return replace(found, pool=_joined(found.pool, _readable(more, query)))


def _limits(query: Query, chosen: Chosen, facts: Facts) -> PoolLimits:
    if facts.size <= WHOLE and chosen.tier is not SelectionTier.HIERARCHICAL_RAG:
        return PoolLimits(dense=0, lexical=0, whole=True)
    most = max(SEARCHED, 2 * chosen.limit)
    return PoolLimits(dense=0 if query.blind else most, lexical=most)


def _readable(pool: Pool, query: Query) -> Pool:
    """Without cosines where nothing read the prompt."""
    return replace(pool, dense=np.full_like(pool.dense, np.nan)) if query.blind else pool


def _joined(pool: Pool, more: Pool) -> Pool:
    """Both pools' tools; a tool of both keeps its first row."""
    known = {tool.tool_id for tool in pool.tools}
    rows = [row for row, tool in enumerate(more.tools) if tool.tool_id not in known]
    return Pool(
        [*pool.tools, *(more.tools[row] for row in rows)],
        np.concatenate([pool.dense, more.dense[rows]]),
        np.concatenate([pool.lexical, more.lexical[rows]]),
    )


def _opened(routed: Routed | None) -> tuple[list[UUID] | None, str]:
    """The groups to search, None for the whole catalog, and what there is to say of it."""
    if routed is None:
        return None, ""
    if not routed.groups:
        return None, "The catalog has no groups yet: all of it was searched."
    if routed.ungrouped > MAX_UNGROUPED:
        return None, f"More than {MAX_UNGROUPED:,} tools have no group yet: the whole catalog was searched."
    return routed.group_ids, ""
