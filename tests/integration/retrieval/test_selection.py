"""The shortlist over a real database with the real model."""

import pytest

from models.planning import Exclusion, Selection, SelectionOptions, SelectionTier
from models.retrieval import SHORTLIST_CAP, RetrievalMode, RetrievalOverrides, RetrievalSettings
from models.tenants import ProjectScope
from planvault.errors import NotFound
from planvault.storage.pool import Pool
from retrieval.candidates import WHOLE
from retrieval.selection import NOTHING_FOUND, Selector
from tests.integration.retrieval.conftest import CatalogWriter

DIRECT_MAX = RetrievalSettings().direct_max
SHOP = {
    "cancelOrder": "cancel order (shop). Cancel an order that has not shipped",
    "listCustomers": "list customers (shop). All customers",
    "getWeather": "get weather (weather). Forecast for a city",
}


def names(selection: Selection) -> list[str]:
    return [candidate.name for candidate in selection.shortlist]


async def shop(catalog: CatalogWriter) -> ProjectScope:
    scope = await catalog.project()
    await catalog.add(scope, await catalog.integration(scope, "shop"), SHOP)
    return scope


async def test_a_small_catalog_is_offered_whole_best_first_with_scores(
    selector: Selector, catalog: CatalogWriter
) -> None:
    scope = await shop(catalog)

    selection = await selector.select(scope, "please cancel my order")

    assert selection.tier is SelectionTier.DIRECT
    assert selection.catalog_size == 3
    assert names(selection)[0] == "cancelOrder"
    assert selection.shortlist[0].tool_id == catalog.tools["cancelOrder"]
    scores = [candidate.score for candidate in selection.shortlist]
    assert scores == sorted(scores, reverse=True)
    for candidate in selection.shortlist:
        assert sum(candidate.scores.values()) == pytest.approx(candidate.score, abs=1e-5)
    assert set(selection.timings_ms) == {"facts", "embed", "boosts", "search", "rank", "total"}
    assert selection.candidates == (), "nobody asked for an explanation"


async def test_tools_without_an_embedding_of_this_model_are_found_by_their_text(
    selector: Selector, catalog: CatalogWriter
) -> None:
    scope = await shop(catalog)
    integration = await catalog.integration(scope, "new")
    await catalog.add(scope, integration, {"cancelOrderFresh": SHOP["cancelOrder"]}, model=None)
    await catalog.add(scope, integration, {"cancelOrderForeign": SHOP["cancelOrder"]}, model="another-model")

    selection = await selector.select(scope, "please cancel my order", SelectionOptions(explain=10))

    assert set(names(selection)[:3]) == {"cancelOrder", "cancelOrderForeign", "cancelOrderFresh"}
    cosines = {candidate.name: candidate.dense for candidate in selection.candidates}
    assert cosines["cancelOrderForeign"] == cosines["cancelOrderFresh"] == (None,)


async def test_a_larger_catalog_is_cut_to_the_nearest(selector: Selector, catalog: CatalogWriter) -> None:
    scope = await shop(catalog)
    noise = {f"noise{i:03}": f"noise {i} (archive). Digitised newspaper page number {i}" for i in range(DIRECT_MAX)}
    await catalog.add(scope, await catalog.integration(scope, "archive"), noise)

    selection = await selector.select(scope, "cancel an order of a customer", SelectionOptions(max_tools=2))

    assert selection.tier is SelectionTier.FLAT_RAG
    assert selection.catalog_size == DIRECT_MAX + 3
    assert names(selection) == ["cancelOrder", "listCustomers"]


async def test_the_cap_holds_whatever_a_project_asks_for(selector: Selector, catalog: CatalogWriter) -> None:
    scope = await catalog.project()
    same = {f"tool{i:03}": "the very same text" for i in range(SHORTLIST_CAP + 5)}
    await catalog.add(scope, await catalog.integration(scope, "many"), same)

    selection = await selector.select(scope, "anything", SelectionOptions(max_tools=100_000))

    assert names(selection) == sorted(same)[:SHORTLIST_CAP], "equal scores go by name"


async def test_only_current_tools_of_enabled_integrations_are_offered(
    selector: Selector, catalog: CatalogWriter
) -> None:
    scope = await shop(catalog)
    old, off, on = [await catalog.integration(scope, alias) for alias in ("old", "off", "on")]
    await catalog.add(scope, old, {"cancelOrderOld": SHOP["cancelOrder"]}, current=False)
    await catalog.add(scope, off, {"cancelOrderOff": SHOP["cancelOrder"]})
    await catalog.add(scope, on, {"cancelOrderOn": SHOP["cancelOrder"]})
    await catalog.switch(scope, off, enabled=False)
    await catalog.switch(scope, on, enabled=True)

    selection = await selector.select(scope, "cancel my order")

    assert selection.catalog_size == 4
    assert set(names(selection)) == {*SHOP, "cancelOrderOn"}


async def test_a_project_switches_off_only_for_itself(selector: Selector, catalog: CatalogWriter) -> None:
    first = await catalog.project()
    second = await catalog.project(first.org_id)
    integration = await catalog.integration(first, "shop")
    await catalog.add(first, integration, SHOP)
    await catalog.switch(first, integration, enabled=False)

    assert names(await selector.select(first, "orders")) == []
    assert set(names(await selector.select(second, "orders"))) == set(SHOP)


async def test_no_organisation_sees_the_tools_of_another(selector: Selector, catalog: CatalogWriter) -> None:
    mine, theirs = await shop(catalog), await catalog.project()
    await catalog.add(theirs, await catalog.integration(theirs, "bank"), {"payOut": "pay out (bank). Send money"})
    # The worst case: a scope that pairs my organisation with a project of theirs.
    mixed = ProjectScope(org_id=mine.org_id, project_id=theirs.project_id)

    assert set(names(await selector.select(mine, "send money"))) == set(SHOP)
    assert names(await selector.select(theirs, "cancel order")) == ["payOut"]
    with pytest.raises(NotFound):
        await selector.select(mixed, "send money")


async def test_an_empty_catalog_gives_an_empty_shortlist(selector: Selector, catalog: CatalogWriter) -> None:
    selection = await selector.select(await catalog.project(), "anything")

    assert (selection.tier, selection.catalog_size, selection.shortlist) == (SelectionTier.DIRECT, 0, ())


async def test_a_selection_that_finds_nothing_in_a_full_catalog_says_why(
    selector: Selector, catalog: CatalogWriter
) -> None:
    """Every tool waits for its embedding, and the prompt shares no word with any."""
    scope = await catalog.project()
    tools = {f"cancelOrder{number}": "cancel an order" for number in range(WHOLE + 1)}
    await catalog.add(scope, await catalog.integration(scope, "shop"), tools, model=None)

    for mode in (RetrievalMode.DIRECT, RetrievalMode.FULL_RAG, RetrievalMode.HIERARCHICAL_RAG):
        selection = await selector.select(scope, "Wetter", SelectionOptions(mode=mode))
        assert selection.shortlist == ()
        assert NOTHING_FOUND in selection.degraded
    found = await selector.select(scope, "order", SelectionOptions(mode=RetrievalMode.DIRECT))
    assert (len(found.shortlist), found.degraded) == (SHORTLIST_CAP, ())


async def test_a_project_caps_what_one_group_may_have_of_a_shortlist(
    selector: Selector, catalog: CatalogWriter, pool: Pool
) -> None:
    scope = await shop(catalog)
    decided = RetrievalOverrides(mode=RetrievalMode.FLAT_RAG, per_group_cap=2).model_dump(mode="json")
    await pool.execute(
        "UPDATE projects SET settings = settings || jsonb_build_object('retrieval', $2::jsonb) WHERE id = $1",
        scope.project_id,
        decided,
    )

    selection = await selector.select(scope, "cancel an order", SelectionOptions(explain=10))
    direct = await selector.select(scope, "cancel an order", SelectionOptions(mode=RetrievalMode.DIRECT))

    assert [one.excluded for one in selection.candidates] == [None, None, Exclusion.GROUP_CAP]
    assert names(selection) == [one.name for one in selection.candidates[:2]]
    assert len(direct.shortlist) == 3, "direct shows all"
