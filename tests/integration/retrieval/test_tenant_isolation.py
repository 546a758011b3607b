"""A thousand organisations in one index: each is offered its own best tools, all of them, and pays for no other."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pgvector import SparseVector, Vector

from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped
from planvault.storage.tool_index import LEXEME_SPACE, term_key
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.facts import read_facts
from retrieval.index.columns import statement
from retrieval.index.port import PoolLimits
from retrieval.index.postgres import PostgresIndex
from retrieval.query import Query
from retrieval.text import lexemes, terms_of
from tests.integration.retrieval.tenants import Tenant, settle

pytestmark = pytest.mark.postgres
SMALL, LARGE = 6, 3_000
LIMIT = 4


@pytest.fixture
def query() -> Query:
    parts = ("cancel the order of a user", "book a flight and a hotel")
    vectors = np.random.default_rng(9).normal(size=(2, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Query(parts, vectors.astype(np.float32), tuple(terms_of(part) for part in parts))


async def test_each_of_a_thousand_organisations_gets_its_own_best_tools(pool: Pool, query: Query) -> None:
    tenants = await settle(pool, [LARGE] + [SMALL] * 999)
    index = PostgresIndex(pool, EMBEDDING_MODEL)
    turns = asyncio.Semaphore(4)

    async def found(tenant: Tenant) -> set[object]:
        async with turns:
            answer = await index.search(tenant.scope, query, PoolLimits(LIMIT, LIMIT))
            return {tool.tool_id for tool in answer.tools}

    answers = await asyncio.gather(*map(found, tenants))
    wrong = [
        len(tenant.tools)
        for tenant, answer in zip(tenants, answers, strict=True)
        if answer != tenant.best(query, LIMIT)
    ]
    assert wrong == []
    sizes = [(await read_facts(pool, tenant.scope)).size for tenant in tenants[:2]]
    assert sizes == [len(tenants[0].enabled()), len(tenants[1].enabled())]
    for tenant in tenants[1:4]:
        await assert_scans_read_the_tenant_alone(pool, tenant, query)


async def assert_scans_read_the_tenant_alone(pool: Pool, tenant: Tenant, query: Query) -> None:
    """By the plans that Postgres runs: the organisation is in the condition of each index scan, and no row of another
    is read and thrown away."""
    org = tenant.scope.org_id
    keys = " | ".join(f"'{term_key(org, lexeme)}'" for lexeme in lexemes(query.parts[0]))
    scope = [org, [tenant.off]]
    vectors = [Vector(vector) for vector in query.vectors]
    weights = [SparseVector({1: 1.0}, LEXEME_SPACE)] * 2
    tools = list(tenant.tools)
    for sql, arguments in (
        (statement("nearest_exactly", 2, 4), [*scope, EMBEDDING_MODEL, *vectors]),
        (statement("nearest_in_groups", 2, 5), [*scope, EMBEDDING_MODEL, [tenant.on], *vectors]),
        (statement("all_tools", 2, 4), [*scope, EMBEDDING_MODEL, *vectors, *weights]),
        (statement("these_tools", 2, 5), [*scope, EMBEDDING_MODEL, tools, *vectors, *weights]),
    ):
        plan = await explained(pool, tenant, sql, *arguments)
        scans = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == "tool_index"]
        assert scans, sql
        for scan in scans:
            conditions = [node.get("Index Cond", "") for node in nodes(scan)]
            assert scan["Node Type"] != "Seq Scan", sql
            assert any(str(org) in one or term_key(org, "") in one or "tool_id" in one for one in conditions), plan
            assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= len(tenant.tools), plan
    plan = await explained(pool, tenant, statement("with_terms", 2, 4), *scope, keys, *weights)
    [scan] = [node for node in nodes(plan[0]["Plan"]) if node["Node Type"] == "Function Scan"]
    assert scan["Actual Rows"] <= len(tenant.tools)


async def test_full_text_is_found_by_its_index_and_not_by_reading_all_tools_of_the_organisation(pool: Pool) -> None:
    """Row-level security stands in front of `@@`, which Postgres takes for one that could tell what it compares."""
    [tenant] = await settle(pool, [LARGE])
    org = tenant.scope.org_id
    wanted = f"'{term_key(org, 'rare')}'"
    await pool.execute(
        "UPDATE tool_index SET lexemes = lexemes || array_to_tsvector(ARRAY[$2::text]) WHERE tool_id = $1",
        *(next(iter(tenant.tools)), term_key(org, "rare")),
    )
    await pool.execute("SELECT gin_clean_pending_list('tool_index_lexemes')")  # what waits there is read by every scan
    held = await explained(pool, tenant, "SELECT FROM tools_holding($1::text::tsquery)", wanted)
    [scan] = [node for node in nodes(held[0]["Plan"]) if node["Node Type"] == "Function Scan"]
    assert scan["Actual Rows"] == 1
    everything = await explained(pool, tenant, "SELECT count(name) FROM tool_index WHERE org_id = $1", org)
    assert buffers(held) < buffers(everything) / 10


async def test_full_text_of_another_organisation_is_not_found_whatever_is_asked_for(pool: Pool) -> None:
    [tenant, stranger] = await settle(pool, [SMALL, SMALL])
    wanted = " | ".join(f"'{term_key(stranger.scope.org_id, each)}'" for each in lexemes("cancel the order of a user"))
    asked = "SELECT count(*) FROM tools_holding($1::text::tsquery)"
    assert await scoped(pool, stranger.scope).fetchval(asked, wanted) > 0
    assert await scoped(pool, tenant.scope).fetchval(asked, wanted) == 0
    assert await pool.fetchval(asked, wanted) == 0


async def explained(pool: Pool, tenant: Tenant, sql: str, *arguments: object) -> list[dict[str, Any]]:
    """The plan that ran, as a process of the product runs it."""
    text = await scoped(pool, tenant.scope).fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *arguments)
    plan: list[dict[str, Any]] = json.loads(text)
    return plan


def buffers(plan: list[dict[str, Any]]) -> int:
    return int(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
