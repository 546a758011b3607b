"""Copies in memory: they answer as Postgres does, never with less than what was committed, and within their memory."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import numpy as np
import pytest

from models.tenants import ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.storage.pool import Pool, open_pool
from retrieval.groups.routed import RoutedGroup
from retrieval.index import resident_load
from retrieval.index.port import PoolLimits, ToolIndex
from retrieval.index.resident import BYTES_A_TOOL, ResidentIndex, ResidentOptions
from retrieval.query import Pool as Candidates
from tests.integration.retrieval.resident_desk import Behind, Desk, catalog_of, query_of, warm

IDS = TimeOrderedIds()
OPTIONS = ResidentOptions(max_bytes=64 << 20, min_tools=1)
WHOLE = PoolLimits(whole=True)
PROMPT = query_of("create an invoice for the order", "the weather in the city")


@pytest.fixture
def behind(pool: Pool) -> Behind:
    return Behind(pool)


@pytest.fixture
async def index(pool: Pool, behind: Behind) -> AsyncIterator[ResidentIndex]:
    async with ResidentIndex(pool, behind, behind.router, OPTIONS).open() as opened:
        yield opened


@pytest.fixture
async def desk(pool: Pool) -> Desk:
    return await Desk(pool).open()


async def names(index: ToolIndex, scope: ProjectScope, limits: PoolLimits = WHOLE) -> set[str]:
    return {tool.name for tool in (await index.search(scope, PROMPT, limits)).tools}


def by_name(pool: Candidates) -> dict[str, tuple[object, ...]]:
    rows = zip(pool.tools, pool.dense.tolist(), pool.lexical.tolist(), strict=True)
    return {tool.name: (tool.tool_id, tool.version, dense, lexical) for tool, dense, lexical in rows}


def assert_same(ours: Candidates, theirs: Candidates) -> None:
    """The same tools with the same scores, as far as float32 sums agree."""
    order = np.argsort([tool.name for tool in ours.tools])
    other = np.argsort([tool.name for tool in theirs.tools])
    assert [_plain(ours.tools[i]) for i in order] == [_plain(theirs.tools[i]) for i in other]
    np.testing.assert_allclose(ours.dense[order], theirs.dense[other], atol=1e-5)
    np.testing.assert_allclose(ours.lexical[order], theirs.lexical[other], atol=1e-4)


def _plain(tool: object) -> tuple[object, ...]:
    fields = ("tool_id", "version", "name", "group", "integration_id", "requires", "produces")
    values = [getattr(tool, field) for field in fields]
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


async def test_a_copy_answers_as_postgres_does(index: ResidentIndex, behind: Behind, desk: Desk) -> None:
    """Stated recall: 1.0 on the same candidates; nothing in either is approximate at this size."""
    shop, travel = await desk.integration(), await desk.integration()
    await desk.put(shop, catalog_of(300), produces=("order", "invoice"))
    await desk.put(travel, [f"{name}_late" for name in catalog_of(60, seed=2)], embedded=False)
    await desk.put(travel, [f"{name}_t" for name in catalog_of(200, seed=3)])
    group = IDS.new()
    await desk.group(shop, dict.fromkeys(catalog_of(40), group))
    await warm(index, behind, desk.scope)
    include = [desk.tools[catalog_of(300)[7]]]

    asked = behind.searches
    for limits, groups, more in (
        (WHOLE, None, ()),
        (PoolLimits(20, 20), None, include),
        (PoolLimits(20, 0), [group], ()),
        (PoolLimits(0, 30), None, ()),
        (PoolLimits(0, 0), None, include),
        (PoolLimits(0, 0), None, ()),
    ):
        assert_same(
            await index.search(desk.scope, PROMPT, limits, groups, more),
            await behind.postgres.search(desk.scope, PROMPT, limits, groups, more),
        )
    assert behind.searches == asked
    for entity in ("order", "nobody"):
        ours = await index.producers(desk.scope, [shop, travel], [entity, "invoice"], 5)
        theirs = await behind.postgres.producers(desk.scope, [shop, travel], [entity, "invoice"], 5)
        assert list(map(_plain, ours)) == list(map(_plain, theirs))


async def test_what_is_committed_before_a_search_is_found_by_it(
    index: ResidentIndex, behind: Behind, desk: Desk
) -> None:
    """After each kind of change: at once, whoever answers, and by the copy when it has caught up."""
    shop, travel = await desk.integration(), await desk.integration()
    await desk.put(shop, ["list_orders", "get_order"])
    await desk.put(travel, ["book_flight"])
    await warm(index, behind, desk.scope)

    async def see(*expected: str) -> None:
        assert await names(index, desk.scope) == set(expected)
        await warm(index, behind, desk.scope)
        assert await names(index, desk.scope) == set(expected)

    await see("list_orders", "get_order", "book_flight")
    await desk.put(shop, ["create_invoice"])
    await see("list_orders", "get_order", "create_invoice", "book_flight")
    await desk.retire(shop, ["get_order"])
    await see("list_orders", "create_invoice", "book_flight")
    await desk.retire(shop, ["get_order"], back=True)
    await see("list_orders", "get_order", "create_invoice", "book_flight")
    await desk.switch(travel, enabled=False)
    await see("list_orders", "get_order", "create_invoice")
    await desk.switch(travel, enabled=True)
    await see("list_orders", "get_order", "create_invoice", "book_flight")
    await desk.delete(shop)
    await see("book_flight")


async def test_a_changed_tool_is_found_as_it_is_now(index: ResidentIndex, behind: Behind, desk: Desk) -> None:
    shop = await desk.integration()
    await desk.put(shop, catalog_of(50))
    changed = catalog_of(50)[11]
    await warm(index, behind, desk.scope)
    before = by_name(await index.search(desk.scope, PROMPT, WHOLE))[changed]

    await desk.put(shop, [changed], version=2, text="create an invoice for the order")
    await warm(index, behind, desk.scope)
    asked = behind.searches
    pool = await index.search(desk.scope, PROMPT, WHOLE)

    assert behind.searches == asked
    assert len(pool.tools) == 50
    after = by_name(pool)[changed]
    assert (before[1], after[1]) == (1, 2)
    assert pool.dense[[tool.name for tool in pool.tools].index(changed), 0] == pytest.approx(1.0, abs=1e-5)
    assert_same(pool, await behind.postgres.search(desk.scope, PROMPT, WHOLE))


async def test_a_copy_is_equal_to_postgres_after_many_small_changes(
    index: ResidentIndex, behind: Behind, desk: Desk
) -> None:
    shops = [await desk.integration() for _ in range(3)]
    for number, shop in enumerate(shops):
        await desk.put(shop, catalog_of(80, seed=number))
        await warm(index, behind, desk.scope)
    choose = np.random.default_rng(5)
    for round_ in range(12):
        number = int(choose.integers(3))
        some = choose.choice(catalog_of(80, seed=number), size=9, replace=False).tolist()
        if round_ % 3 == 2:
            await desk.retire(shops[number], some)
        else:
            await desk.put(shops[number], some, version=2 + round_, text=f"{some[0]} weather {round_}")
        await warm(index, behind, desk.scope)

    asked = behind.searches
    ours = await index.search(desk.scope, PROMPT, WHOLE)

    assert behind.searches == asked
    assert_same(ours, await behind.postgres.search(desk.scope, PROMPT, WHOLE))


async def test_prompts_are_routed_as_by_postgres(index: ResidentIndex, behind: Behind, desk: Desk) -> None:
    """Also after groups changed, a tool came that has none yet, and an integration was switched off or deleted."""
    shops = [await desk.integration() for _ in range(3)]
    for number, shop in enumerate(shops):
        await desk.put(shop, catalog_of(120, seed=number))
        await desk.regroup(shop)

    async def agree(least: int) -> None:
        await warm(index, behind, desk.scope)
        for top_k in (3, 1_000):
            ours = await index.route(desk.scope, PROMPT, top_k)
            theirs = await behind.router.route(desk.scope, PROMPT, top_k)
            assert (ours.considered, ours.ungrouped) == (theirs.considered, theirs.ungrouped)
            assert ours.considered >= least
            assert [_rounded(group) for group in ours.groups] == [_rounded(group) for group in theirs.groups]

    await agree(least=10)
    await desk.put(shops[0], ["create_invoice_now"])
    await agree(least=10)
    await desk.regroup(shops[0])
    await agree(least=10)
    await desk.switch(shops[1], enabled=False)
    await agree(least=5)
    await desk.delete(shops[2])
    await agree(least=1)


def _rounded(group: RoutedGroup) -> RoutedGroup:
    return replace(group, similarity=round(group.similarity, 4), expected=round(group.expected, 4))


async def test_postgres_answers_while_the_copy_is_cold_and_one_load_serves_all(
    index: ResidentIndex, behind: Behind, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await desk.integration()
    await desk.put(shop, catalog_of(100))
    loads = 0
    gate = asyncio.Event()
    real = index._load

    async def counted(org_id: object) -> None:
        nonlocal loads
        loads += 1
        await gate.wait()
        await real(org_id)  # type: ignore[arg-type]

    monkeypatch.setattr(index, "_load", counted)

    found = await asyncio.gather(*(names(index, desk.scope) for _ in range(8)))

    assert all(len(each) == 100 for each in found)
    assert (behind.searches, loads) == (8, 1)
    gate.set()
    await index.caught_up()
    assert len(await names(index, desk.scope)) == 100
    assert behind.searches == 8


async def test_small_organisations_are_postgres_alone(pool: Pool, behind: Behind, desk: Desk) -> None:
    await desk.put(await desk.integration(), catalog_of(20))
    async with ResidentIndex(
        pool, behind, behind.router, ResidentOptions(max_bytes=64 << 20, min_tools=21)
    ).open() as index:
        await names(index, desk.scope)
        await index.caught_up()

        assert index.nbytes == 0
        assert len(await names(index, desk.scope)) == 20


async def test_copies_of_two_organisations_never_mix(index: ResidentIndex, behind: Behind, pool: Pool) -> None:
    """Also where they hold an integration or a project of the other's id in their hands."""
    ours, theirs = await Desk(pool).open(), await Desk(pool).open()
    integrations = {}
    for desk in (theirs, ours):
        integrations[desk.scope.org_id] = integration = await desk.integration()
        await desk.put(integration, [f"{name}_{desk.scope.org_id.hex[-4:]}" for name in catalog_of(60)])
        await desk.regroup(integration)
        await warm(index, behind, desk.scope)

    asked = behind.searches
    for desk in (ours, theirs):
        routed = await index.route(desk.scope, PROMPT, 1_000)
        assert {group.integration_id for group in routed.groups} == {integrations[desk.scope.org_id]}
    assert await names(index, ours.scope) == set(ours.tools)
    assert await names(index, theirs.scope) == set(theirs.tools)
    pool_of_theirs = await index.search(ours.scope, PROMPT, PoolLimits(5, 5), None, list(theirs.tools.values()))
    assert {tool.name for tool in pool_of_theirs.tools} <= set(ours.tools)
    crossed = ProjectScope(org_id=ours.scope.org_id, project_id=theirs.scope.project_id)
    assert await names(index, crossed) == set(ours.tools)
    assert behind.searches == asked


async def test_copies_stay_within_their_memory(pool: Pool, behind: Behind) -> None:
    """What fits stays; what does not is Postgres' to answer, and loads nothing in vain."""
    first, second = await Desk(pool).open(), await Desk(pool).open()
    for desk in (first, second):
        await desk.put(await desk.integration(), catalog_of(200))
    room = ResidentOptions(max_bytes=300 * BYTES_A_TOOL, min_tools=1)
    async with ResidentIndex(pool, behind, behind.router, room).open() as index:
        await warm(index, behind, first.scope)
        for _ in range(3):
            asked = behind.searches
            assert len(await names(index, second.scope)) == 200
            await index.caught_up()
            assert behind.searches == asked + 1
            assert 0 < index.nbytes <= room.max_bytes
        asked = behind.searches
        assert len(await names(index, first.scope)) == 200
        assert behind.searches == asked


async def test_a_copy_that_nobody_asks_makes_room(pool: Pool, behind: Behind) -> None:
    first, second = await Desk(pool).open(), await Desk(pool).open()
    for desk in (first, second):
        await desk.put(await desk.integration(), catalog_of(200))
    room = ResidentOptions(max_bytes=300 * BYTES_A_TOOL, min_tools=1, keep_s=0.0)
    async with ResidentIndex(pool, behind, behind.router, room).open() as index:
        await warm(index, behind, first.scope)
        await warm(index, behind, second.scope)

        asked = behind.searches
        assert len(await names(index, second.scope)) == 200
        assert behind.searches == asked
        assert index.nbytes <= room.max_bytes


async def test_a_load_that_loses_its_database_leaves_the_answers_to_postgres(
    database_url: str, behind: Behind, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load's connection is cut in its middle; the searches behind it go on, and the copy comes later."""
    shop = await desk.integration()
    await desk.put(shop, catalog_of(500))
    go_on = threading.Event()
    real = resident_load._columns

    def held(record: asyncpg.Record) -> object:
        assert go_on.wait(10)
        return real(record)

    monkeypatch.setattr(resident_load, "_PAGE", 100)
    monkeypatch.setattr(resident_load, "_columns", held)
    own = await open_pool(database_url, name="resident-cut", maximum=2)
    options = ResidentOptions(max_bytes=64 << 20, min_tools=1, retry_s=0.0)
    async with ResidentIndex(own, behind, behind.router, options).open() as index:
        await names(index, desk.scope)  # starts the load
        await _cut(desk.pool, "resident-cut")
        go_on.set()
        await index.caught_up()

        assert index.nbytes == 0
        assert len(await names(index, desk.scope)) == 500
        await warm(index, behind, desk.scope)
    await own.close()


async def _cut(pool: Pool, name: str) -> None:
    """End the backend that is in a transaction."""
    async with asyncio.timeout(10):
        while True:
            ended: list[asyncpg.Record] = await pool.fetch(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE '%' || $1 AND xact_start IS NOT NULL""",
                name,
            )
            if ended:
                return
            await asyncio.sleep(0)
