"""Where each tier looks for its candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import pytest

from models.ids import IntegrationId, OrgId, ProjectId, ToolId
from models.planning import SelectionTier
from models.retrieval import RetrievalSettings
from models.tenants import ProjectScope
from retrieval.candidates import MAX_UNGROUPED, SEARCHED, WHOLE, Finder, Found
from retrieval.facts import Facts
from retrieval.groups.routed import Routed, RoutedGroup
from retrieval.index.port import CatalogState, PoolLimits
from retrieval.producers import Lacking
from retrieval.prompts import read_without_model
from retrieval.query import IndexedTool, Pool, Query
from retrieval.stages import Stages
from retrieval.tiers import Chosen

SCOPE = ProjectScope(org_id=OrgId(UUID(int=1)), project_id=ProjectId(UUID(int=2)))
QUERY = Query(("find it",), np.full((1, 384), 0.05, np.float32), ({"find": 1.0},))
GROUP = RoutedGroup(
    group_id=UUID(int=7),
    integration_id=IntegrationId(UUID(int=3)),
    name="shop/orders",
    size=12,
    coherence=0.6,
    routing="centroid",
    similarity=0.4,
    expected=0.5,
    part=0,
    why="kept whole",
)


SHOP = IntegrationId(UUID(int=3))
FOUND = IndexedTool(ToolId(UUID(int=9)), 1, "pay_order", "shop", SHOP, requires=("order",))
LACKING = Lacking((SHOP,), ("order",))
FACTS = Facts(RetrievalSettings(), 5_000)
PRODUCER = IndexedTool(ToolId(UUID(int=10)), 1, "list_orders", "shop", SHOP, produces=("order",))


def pool_of(tools: list[IndexedTool], parts: int) -> Pool:
    scores = np.ones((len(tools), parts), np.float32)
    return Pool(tools, scores, scores)


@dataclass
class IndexSpy:
    """Answers with one tool, and remembers what it was asked."""

    limits: PoolLimits = field(default_factory=PoolLimits)
    groups: Sequence[UUID] | None = None
    include: Sequence[ToolId] = ()
    made: Sequence[IndexedTool] = ()  # what produces something

    async def search(
        self,
        scope: ProjectScope,
        query: Query,
        limits: PoolLimits,
        groups: Sequence[UUID] | None = None,
        include: Sequence[ToolId] = (),
        seen: CatalogState | None = None,
    ) -> Pool:
        self.limits, self.groups, self.include = limits, groups, include
        return pool_of([FOUND, *(tool for tool in self.made if tool.tool_id in include)], len(query.parts))

    async def producers(
        self,
        scope: ProjectScope,
        integrations: Sequence[IntegrationId],
        entities: Sequence[str],
        limit: int,
        seen: CatalogState | None = None,
    ) -> list[IndexedTool]:
        return list(self.made)


@dataclass
class Router:
    groups: Sequence[RoutedGroup] = (GROUP,)
    ungrouped: int = 0
    asked: int = 0

    async def route(self, scope: ProjectScope, query: Query, top_k: int, seen: CatalogState | None = None) -> Routed:
        self.asked = top_k
        return Routed(self.groups, considered=len(self.groups), ungrouped=self.ungrouped)


async def find(tier: SelectionTier, size: int, router: Router, query: Query = QUERY, limit: int = 30) -> IndexSpy:
    index = IndexSpy()
    facts = Facts(RetrievalSettings(centroid_top_k=5), size)
    finder = Finder(index, router)
    found = await finder.find(SCOPE, query, Chosen(tier, limit, ""), facts, Stages(lambda: 0.0), [ToolId(UUID(int=4))])
    assert index.include == [UUID(int=4)]
    assert bool(found.note) == (tier is SelectionTier.HIERARCHICAL_RAG and not query.blind and index.groups is None)
    assert np.isnan(found.pool.dense).all() == query.blind
    return index


@pytest.mark.parametrize("tier", [SelectionTier.DIRECT, SelectionTier.FLAT_RAG, SelectionTier.FULL_RAG])
async def test_a_catalog_that_can_be_read_whole_is_and_a_larger_one_is_searched(tier: SelectionTier) -> None:
    router = Router()
    assert (await find(tier, WHOLE, router)).limits.whole
    assert (await find(tier, WHOLE + 1, router)).limits == PoolLimits(SEARCHED, SEARCHED)
    assert router.asked == 0


async def test_the_hierarchical_tier_searches_the_groups_that_routing_names() -> None:
    router = Router()
    assert (await find(SelectionTier.HIERARCHICAL_RAG, 5_000, router)).groups == [GROUP.group_id]
    assert router.asked == 5


@pytest.mark.parametrize("router", [Router(groups=()), Router(ungrouped=MAX_UNGROUPED + 1)])
async def test_where_groups_would_hide_tools_everything_is_searched_and_the_selection_says_so(router: Router) -> None:
    assert (await find(SelectionTier.HIERARCHICAL_RAG, 5_000, router)).groups is None


async def test_a_long_shortlist_looks_at_more() -> None:
    assert (await find(SelectionTier.FULL_RAG, 5_000, Router(), limit=200)).limits == PoolLimits(400, 400)


async def test_without_the_model_only_text_is_searched_and_no_group_is_asked_for() -> None:
    router, blind = Router(), read_without_model("find it, and then pay for it please")
    index = await find(SelectionTier.HIERARCHICAL_RAG, 5_000, router, blind)
    assert (index.limits.dense, index.groups, router.asked) == (0, None, 0)


@pytest.mark.parametrize("query", [QUERY, read_without_model("pay for it")])
async def test_producers_that_nothing_found_join_the_pool_with_their_scores(query: Query) -> None:
    index = IndexSpy(made=(FOUND, PRODUCER))
    found = Found(pool_of([FOUND], 1))
    wider = await Finder(index, Router()).with_producers(SCOPE, query, found, LACKING, FACTS)
    assert [tool.name for tool in wider.pool.tools] == ["pay_order", "list_orders"]
    assert wider.pool.dense.shape == wider.pool.lexical.shape == (2, 1)
    assert (index.limits, index.include) == (PoolLimits(0, 0), [PRODUCER.tool_id])
    assert np.isnan(wider.pool.dense[1]).all() == query.blind


async def test_producers_that_are_candidates_already_are_not_looked_for_again() -> None:
    index = IndexSpy(made=(FOUND,))
    found = Found(pool_of([FOUND], 1))
    assert await Finder(index, Router()).with_producers(SCOPE, QUERY, found, LACKING, FACTS) is found
    assert index.include == ()
