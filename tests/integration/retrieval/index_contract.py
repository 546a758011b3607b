"""What every ToolIndex must do. A test module subclasses `IndexContract` and gives the fixture `index`.

The expected answer is computed here from the stored rows, by numpy, knowing nothing of how an index searches. On these
catalogs full text reads every row that holds a term, so both candidate sets are exact; how much of them is found among
100,000 tools is said in docs/tool-index.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pytest

from models.ids import IntegrationId, OrgId, ProjectId, ToolId
from models.tenants import ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.storage.pool import Pool
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.index.port import PoolLimits, ToolIndex
from retrieval.lexical import inverse_document_frequency
from retrieval.query import Pool as Candidates
from retrieval.query import Query
from retrieval.text import lexeme_id, terms_of
from tests.integration.retrieval.resident_desk import Desk, catalog_of, query_of
from tests.integration.storage import stored_index
from tests.integration.storage.stored_index import StoredTool

IDS = TimeOrderedIds()
WHOLE = PoolLimits(whole=True)
FEW = PoolLimits(dense=7, lexical=5)
PROMPT = query_of("create an invoice for the order", "the weather in the city", "delete a user")


@dataclass
class Expected:
    """Rows of the index that a project may be offered, and their scores by plain arithmetic; shape (tools, parts)."""

    tools: list[StoredTool]
    dense: np.ndarray
    lexical: np.ndarray

    @classmethod
    async def of(cls, pool: Pool, scope: ProjectScope, query: Query) -> "Expected":
        states = await stored_index.integration_states(pool, scope)
        rows: list[tuple[StoredTool, bool]] = []
        for integration, state in states.items():
            stored = await stored_index.changed_tools(pool, scope, integration, limit=100_000)
            rows += [(tool, state.enabled) for tool in stored if tool.active]
        everywhere = [tool for tool, _ in rows]
        enabled = [tool for tool, on in rows if on]
        return cls(enabled, _cosines(enabled, query), _bm25(enabled, everywhere, query))

    def nearest(self, limit: int, groups: Sequence[UUID] | None = None) -> set[ToolId]:
        at = [
            i
            for i, tool in enumerate(self.tools)
            if tool.embedding_model == EMBEDDING_MODEL and (groups is None or tool.group_id in (None, *groups))
        ]
        nearest = [np.array(at, dtype=int)[np.argsort(-self.dense[at, part])] for part in range(self.dense.shape[1])]
        return {self.tools[i].tool_id for order in nearest for i in order[:limit]}

    def by_text(self, limit: int) -> set[ToolId]:
        found = set()
        for part in self.lexical.T:
            order = np.argsort(-part, kind="stable")[:limit]
            found |= {self.tools[i].tool_id for i in order if part[i] > 0}
        return found

    def assert_scores(self, pool: Candidates) -> None:
        """Every candidate is enabled and has both of its scores."""
        rows = {tool.tool_id: i for i, tool in enumerate(self.tools)}
        assert len({tool.tool_id for tool in pool.tools}) == len(pool.tools)
        at = [rows[tool.tool_id] for tool in pool.tools]
        np.testing.assert_allclose(pool.dense, self.dense[at], atol=1e-5)
        np.testing.assert_allclose(pool.lexical, self.lexical[at], atol=1e-4)


def _cosines(tools: Sequence[StoredTool], query: Query) -> np.ndarray:
    nothing = np.full(384, np.nan, dtype=np.float32)
    of_model = [tool.embedding if tool.embedding_model == EMBEDDING_MODEL else None for tool in tools]
    return np.array([nothing if one is None else one for one in of_model]).reshape(-1, 384) @ query.vectors.T


def _bm25(tools: Sequence[StoredTool], everywhere: Sequence[StoredTool], query: Query) -> np.ndarray:
    holding = [dict(zip(tool.impacts[0].tolist(), tool.impacts[1].tolist(), strict=True)) for tool in everywhere]
    numbers = {lexeme: lexeme_id(lexeme) for part in query.terms for lexeme in part}
    counts = {lexeme: sum(number in held for held in holding) for lexeme, number in numbers.items()}
    mine = [dict(zip(tool.impacts[0].tolist(), tool.impacts[1].tolist(), strict=True)) for tool in tools]
    rows = [
        [
            sum(
                weight * inverse_document_frequency(len(everywhere), counts[lexeme]) * held.get(numbers[lexeme], 0.0)
                for lexeme, weight in part.items()
            )
            for part in query.terms
        ]
        for held in mine
    ]
    return np.array(rows, dtype=np.float64).reshape(len(tools), len(query.terms))


def ids(pool: Candidates) -> set[ToolId]:
    return {tool.tool_id for tool in pool.tools}


def names(pool: Candidates) -> set[str]:
    return {tool.name for tool in pool.tools}


class IndexContract:
    @pytest.fixture
    async def desk(self, pool: Pool) -> Desk:
        return await Desk(pool).open()

    async def test_the_whole_catalog_comes_with_both_scores_of_every_part(self, index: ToolIndex, desk: Desk) -> None:
        await desk.put(await desk.integration(), catalog_of(60))
        await desk.put(await desk.integration(), ["list_later"], embedded=False)
        pool = await index.search(desk.scope, PROMPT, WHOLE)
        expected = await Expected.of(desk.pool, desk.scope, PROMPT)
        assert (len(pool.tools), pool.dense.shape, pool.lexical.shape) == (61, (61, 3), (61, 3))
        expected.assert_scores(pool)
        [later] = [i for i, tool in enumerate(pool.tools) if tool.name == "list_later"]
        assert np.isnan(pool.dense[later]).all(), "nobody may read a similarity into a tool without a vector"

    async def test_candidates_are_the_best_of_every_part_by_vector_and_by_text(
        self, index: ToolIndex, desk: Desk
    ) -> None:
        await desk.put(await desk.integration(), catalog_of(300))
        pool = await index.search(desk.scope, PROMPT, FEW)
        expected = await Expected.of(desk.pool, desk.scope, PROMPT)
        assert ids(pool) == expected.nearest(7) | expected.by_text(5)
        expected.assert_scores(pool)

    async def test_the_nearest_come_however_far_away_they_are(self, index: ToolIndex, desk: Desk) -> None:
        await desk.put(await desk.integration(), catalog_of(20))
        away = Query(PROMPT.parts, -PROMPT.vectors, tuple({} for _ in PROMPT.terms))
        pool = await index.search(desk.scope, away, PoolLimits(dense=20, lexical=0))
        assert len(pool.tools) == 20
        assert (pool.dense < 0).any()

    async def test_as_many_parts_as_a_prompt_can_have_are_searched(self, index: ToolIndex, desk: Desk) -> None:
        await desk.put(await desk.integration(), catalog_of(100))
        query = query_of(*(f"{word} the {word} number" for word in ("get", "order", "user", "city", "hotel")), *"abcd")
        pool = await index.search(desk.scope, query, FEW)
        expected = await Expected.of(desk.pool, desk.scope, query)
        assert pool.dense.shape[1] == 9
        assert ids(pool) == expected.nearest(7) | expected.by_text(5)

    async def test_no_organisation_is_offered_the_tools_of_another(
        self, index: ToolIndex, desk: Desk, pool: Pool
    ) -> None:
        theirs = await Desk(pool).open()
        same = catalog_of(50)
        await desk.put(await desk.integration(), same)
        await theirs.put(await theirs.integration(), same)
        mixed = ProjectScope(org_id=desk.scope.org_id, project_id=theirs.scope.project_id)
        for limits in (WHOLE, FEW):
            for scope, mine in ((desk.scope, desk), (theirs.scope, theirs), (mixed, desk)):
                assert ids(await index.search(scope, PROMPT, limits)) <= set(mine.tools.values())
        alien = list(theirs.tools.values())
        found = await index.search(desk.scope, PROMPT, PoolLimits(dense=0, lexical=0), None, alien)
        assert list(found.tools) == [], "asked for by id"

    async def test_what_a_project_has_switched_off_neither_appears_nor_costs_recall(
        self, index: ToolIndex, desk: Desk
    ) -> None:
        off, on = await desk.integration(), await desk.integration()
        await desk.put(off, catalog_of(200, seed=1), produces=["thing"])
        await desk.put(on, [f"{name}_kept" for name in catalog_of(30, seed=2)])
        await desk.switch(off, enabled=False)
        await desk.switch(on, enabled=True)
        expected = await Expected.of(desk.pool, desk.scope, PROMPT)
        pool = await index.search(desk.scope, PROMPT, FEW)
        assert ids(pool) == expected.nearest(7) | expected.by_text(5)
        assert all(tool.integration_id == on for tool in pool.tools)
        expected.assert_scores(pool)
        assert len((await index.search(desk.scope, PROMPT, WHOLE)).tools) == 30
        switched_off = list(desk.tools.values())[:200]
        assert list((await index.search(desk.scope, PROMPT, PoolLimits(0, 0), None, switched_off)).tools) == []
        assert await index.producers(desk.scope, [off, on], ["thing"], 5) == []
        other = ProjectScope(org_id=desk.scope.org_id, project_id=ProjectId(IDS.new()))
        whole = await index.search(other, PROMPT, WHOLE)
        assert len(whole.tools) == 230, "a project switches off only for itself"

    async def test_groups_restrict_what_is_found_by_vector_and_nothing_else(self, index: ToolIndex, desk: Desk) -> None:
        integration, groups = await desk.integration(), [IDS.new() for _ in range(4)]
        named = catalog_of(120)
        await desk.put(integration, named)
        await desk.group(integration, {name: groups[i % 4] for i, name in enumerate(named[:100])})
        expected = await Expected.of(desk.pool, desk.scope, PROMPT)
        pool = await index.search(desk.scope, PROMPT, FEW, groups[:2])
        assert ids(pool) == expected.nearest(7, groups[:2]) | expected.by_text(5)
        expected.assert_scores(pool)
        alone = await index.search(desk.scope, PROMPT, PoolLimits(dense=1_000, lexical=0), [IDS.new()])
        assert names(alone) == set(named[100:]), "tools that are in no group yet"

    async def test_every_write_is_seen_by_the_search_after_it(self, index: ToolIndex, desk: Desk) -> None:
        first, second = await desk.integration(), await desk.integration()
        await desk.put(first, ["create_invoice", "list_orders", "get_city"])
        everything = {"create_invoice", "list_orders", "get_city"}
        assert names(await index.search(desk.scope, PROMPT, WHOLE)) == everything
        await desk.put(second, ["invoice_order_user"])
        assert names(await index.search(desk.scope, PROMPT, FEW)) == everything | {"invoice_order_user"}
        await desk.retire(first, ["list_orders"])
        assert names(await index.search(desk.scope, PROMPT, FEW)) == {
            "create_invoice",
            "get_city",
            "invoice_order_user",
        }
        await desk.retire(first, ["list_orders"], back=True)
        await desk.switch(second, enabled=False)
        assert names(await index.search(desk.scope, PROMPT, FEW)) == everything
        await desk.switch(second, enabled=True)
        await desk.delete(first)
        assert names(await index.search(desk.scope, PROMPT, FEW)) == {"invoice_order_user"}
        (await Expected.of(desk.pool, desk.scope, PROMPT)).assert_scores(await index.search(desk.scope, PROMPT, FEW))

    async def test_catalogs_without_tools_answer_with_none(self, index: ToolIndex, desk: Desk) -> None:
        unknown = ProjectScope(org_id=OrgId(IDS.new()), project_id=ProjectId(IDS.new()))
        only = await desk.integration()
        for scope in (unknown, desk.scope):
            for limits in (WHOLE, FEW):
                pool = await index.search(scope, PROMPT, limits, [IDS.new()])
                assert (list(pool.tools), pool.dense.shape, pool.lexical.shape) == ([], (0, 3), (0, 3))
        await desk.put(only, ["create_invoice"])
        await desk.switch(only, enabled=False)
        assert list((await index.search(desk.scope, PROMPT, WHOLE)).tools) == []

    async def test_words_that_say_nothing_here_find_nothing_by_text(self, index: ToolIndex, desk: Desk) -> None:
        await desk.put(await desk.integration(), catalog_of(40))
        by_text = PoolLimits(dense=0, lexical=10)
        wordless = Query(("…",), query_of("…").vectors, ({},))
        assert list((await index.search(desk.scope, wordless, by_text)).tools) == []
        strange = query_of("quokka", "'; DROP TABLE tool_index; -- \\' | !& <->", "🦘")
        pool = await index.search(desk.scope, strange, by_text)
        assert list(pool.tools) == []
        assert len((await index.search(desk.scope, wordless, PoolLimits(dense=10, lexical=10))).tools) == 10
        assert (await index.search(desk.scope, wordless, WHOLE)).lexical.sum() == 0

    async def test_a_prompt_of_33000_characters_is_answered_in_any_script(self, index: ToolIndex, desk: Desk) -> None:
        await desk.put(await desk.integration(), catalog_of(40))
        words = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(3_500))
        bigrams = "".join(chr(0x4E00 + n % 20_000) for n in range(33_000))
        for long in (f"create an invoice {words}"[:33_000], f"create an invoice {bigrams}"[:33_000]):
            query = Query((long,), query_of("long").vectors, (terms_of(long),))
            pool = await index.search(desk.scope, query, FEW)
            expected = await Expected.of(desk.pool, desk.scope, query)
            expected.assert_scores(pool)
            assert expected.by_text(5) <= ids(pool)

    async def test_a_vector_of_another_model_is_no_vector(self, index: ToolIndex, desk: Desk) -> None:
        await desk.put(await desk.integration(), ["create_invoice"])
        await desk.pool.execute(
            "UPDATE tool_index SET embedding_model = 'another' WHERE org_id = $1", desk.scope.org_id
        )
        pool = await index.search(desk.scope, PROMPT, WHOLE)
        assert np.isnan(pool.dense).all()
        assert list((await index.search(desk.scope, PROMPT, PoolLimits(dense=5, lexical=0))).tools) == []
        assert names(await index.search(desk.scope, PROMPT, PoolLimits(dense=0, lexical=5))) == {"create_invoice"}

    async def test_tools_that_are_asked_for_are_candidates_in_any_case(self, index: ToolIndex, desk: Desk) -> None:
        integration = await desk.integration()
        await desk.put(integration, catalog_of(50))
        await desk.put(integration, ["hotel_unlike"], embedded=False)
        await desk.retire(integration, [gone := next(iter(desk.tools))])
        wanted = [desk.tools["hotel_unlike"], desk.tools[gone], ToolId(IDS.new())]
        pool = await index.search(desk.scope, PROMPT, PoolLimits(dense=0, lexical=0), None, wanted)
        assert names(pool) == {"hotel_unlike"}
        (await Expected.of(desk.pool, desk.scope, PROMPT)).assert_scores(pool)

    async def test_producers_of_an_entity_are_those_of_the_integrations_asked_for(
        self, index: ToolIndex, desk: Desk
    ) -> None:
        first, second = await desk.integration(), await desk.integration()
        await desk.put(first, ["list_orders", "create_order", "find_order"], produces=["order", "it's"])
        await desk.put(second, ["other_order"], produces=["order"])
        endless = "_".join(["заказ"] * 1_000)
        await desk.put(second, ["endless_order"], produces=[endless])
        await desk.put(first, ["gone_order"], produces=["order"])
        await desk.retire(first, ["gone_order"])

        async def found(integrations: list[IntegrationId], entities: list[str], limit: int = 10) -> list[str]:
            return [tool.name for tool in await index.producers(desk.scope, integrations, entities, limit)]

        assert await found([first], ["order", "it's"]) == ["create_order", "find_order", "list_orders"]
        assert await found([first, second], ["order"], 2) == ["create_order", "find_order"]
        assert await found([second], ["order"]) == ["other_order"]
        assert await found([first], ["ord", "user"]) == []
        assert await found([second], [endless]) == ["endless_order"]
        assert await found([], ["order"]) == []
        assert await found([first], []) == []

    async def test_organisations_whose_words_have_the_same_key_stay_apart(
        self, index: ToolIndex, desk: Desk, pool: Pool
    ) -> None:
        """Words are keyed by a half of the organisation's id: the organisation itself is a condition all the same."""
        twin = OrgId(UUID(bytes=IDS.new().bytes[:8] + desk.scope.org_id.bytes[8:]))
        theirs = await Desk(pool, ProjectScope(org_id=twin, project_id=ProjectId(IDS.new()))).open()
        mine, other = await desk.integration(), await theirs.integration()
        await desk.put(mine, ["create_invoice"], produces=["thing"])
        await theirs.put(other, catalog_of(40), produces=["thing"])
        for limits in (WHOLE, FEW):
            assert names(await index.search(desk.scope, PROMPT, limits)) == {"create_invoice"}
        found = await index.producers(desk.scope, [mine, other], ["thing"], 50)
        assert [tool.name for tool in found] == ["create_invoice"]
