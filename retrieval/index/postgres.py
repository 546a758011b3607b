"""The index in Postgres: the source of truth, always there, always current.

A search is three statements: what the catalog knows of the prompt's words, the candidates (by vector and by text), and
both scores of all candidates. Organisation and enabled integrations are conditions of every scan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg
from pgvector import SparseVector, Vector

from models.ids import IntegrationId, OrgId, ToolId
from models.tenants import ProjectScope
from planvault.storage.pool import Pool as Connections
from planvault.storage.pool import Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped, within
from planvault.storage.tool_index import LEXEME_SPACE, product_key, strong_key, term_key
from retrieval.index.columns import Scores, aggregated, matrix, statement
from retrieval.index.port import CatalogState, PoolLimits
from retrieval.index.weights import Held, PartWeights, wanted_terms, weigh
from retrieval.query import IndexedTool, Pool, Query

_SQL = load("retrieval", "sql/index_search.sql")

# Rows that full text may bring before they are ranked: each is read from where it lies.
TEXT_BUDGET: Final = 2_500


@dataclass(frozen=True, slots=True)
class _Catalog:
    """`documents`: active tools of the whole organisation."""

    documents: int = 0
    disabled: Sequence[UUID] = ()
    held: Mapping[str, Held] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        return {lexeme: held.tools for lexeme, held in self.held.items()}


class PostgresIndex:
    """Implements the ToolIndex port. `model`: whose vectors are compared."""

    def __init__(self, connections: Connections, model: str) -> None:
        self._connections = connections
        self._model = model

    async def search(
        self,
        scope: ProjectScope,
        query: Query,
        limits: PoolLimits,
        groups: Sequence[UUID] | None = None,
        include: Sequence[ToolId] = (),
        seen: CatalogState | None = None,
    ) -> Pool:
        lexemes = list({lexeme for terms in query.terms for lexeme in terms})
        async with within(self._connections, scope) as connection:
            catalog = await _catalog(connection, scope, lexemes)
            search = _Search(
                connection,
                scope.org_id,
                catalog,
                query,
                weigh(query.terms, catalog.counts, catalog.documents),
                self._model,
            )
            if limits.whole:
                return await search.everything()
            found = {tool.bytes for tool in include}
            if limits.dense:
                found |= (await search.by_vector(groups)).best(limits.dense)
            if limits.lexical:
                found |= (await search.by_text()).best(limits.lexical, above=0.0)
            return await search.scored([UUID(bytes=tool) for tool in sorted(found)])

    async def producers(
        self,
        scope: ProjectScope,
        integrations: Sequence[IntegrationId],
        entities: Sequence[str],
        limit: int,
        seen: CatalogState | None = None,
    ) -> list[IndexedTool]:
        keys = [_quoted(product_key(scope.org_id, entity)) for entity in entities]
        rows = await scoped(self._connections, scope).fetch(
            _SQL["producers"], scope.org_id, scope.project_id, list(integrations), keys, limit
        )
        return [_tool(row) for row in rows]


async def _catalog(db: Queryable, scope: ProjectScope, lexemes: list[str]) -> _Catalog:
    row = await db.fetchrow(_SQL["catalog"], scope.org_id, scope.project_id, lexemes)
    if row is None:
        return _Catalog()  # an organisation that never had a tool
    columns = (row["lexemes"] or (), row["counts"] or (), row["strong"] or ())
    held = {lexeme: Held(tools, strong) for lexeme, tools, strong in zip(*columns, strict=True) if tools > 0}
    return _Catalog(row["documents"], row["disabled"], held)


@dataclass(frozen=True, slots=True)
class _Search:
    """One prompt in one project's catalog, over one connection."""

    db: Queryable
    org_id: OrgId
    catalog: _Catalog
    query: Query
    weights: Sequence[PartWeights]
    model: str

    async def by_vector(self, groups: Sequence[UUID] | None) -> Scores:
        parts = len(self.weights)
        if groups is None:
            row = await self.db.fetchrow(statement("nearest_exactly", parts, 4), *self._arguments(), *self._vectors())
        else:
            sql = statement("nearest_in_groups", parts, 5)
            row = await self.db.fetchrow(sql, *self._arguments(), list(groups), *self._vectors())
        return _scores(row)

    async def by_text(self) -> Scores:
        terms = wanted_terms(self.weights, self.catalog.held, TEXT_BUDGET)
        keys = [term_key(self.org_id, lexeme) for lexeme in terms.anywhere]
        keys += [strong_key(self.org_id, lexeme) for lexeme in terms.strongly]
        if not keys:
            return aggregated(None, [b""] * len(self.weights))
        wanted = " | ".join(map(_quoted, keys))
        sql = statement("with_terms", len(self.weights), 4)
        return _scores(await self.db.fetchrow(sql, self.org_id, self.catalog.disabled, wanted, *self._sparse()))

    async def everything(self) -> Pool:
        sql = statement("all_tools", len(self.weights), 4)
        return self._pool(await self.db.fetch(sql, *self._arguments(), *self._vectors(), *self._sparse()))

    async def scored(self, tools: list[UUID]) -> Pool:
        if not tools:
            return self._pool([])
        sql = statement("these_tools", len(self.weights), 5)
        return self._pool(await self.db.fetch(sql, *self._arguments(), tools, *self._vectors(), *self._sparse()))

    def _arguments(self) -> tuple[OrgId, Sequence[UUID], str]:
        return self.org_id, self.catalog.disabled, self.model

    def _vectors(self) -> list[Vector]:
        return [Vector(vector) for vector in self.query.vectors]

    def _sparse(self) -> list[SparseVector]:
        return [SparseVector(dict(part.by_number), LEXEME_SPACE) for part in self.weights]

    def _pool(self, rows: Sequence[asyncpg.Record]) -> Pool:
        parts = len(self.weights)
        return Pool(
            [_tool(row) for row in rows],
            matrix([row["dense"] for row in rows], parts),
            matrix([row["lexical"] for row in rows], parts),
        )


def _scores(row: asyncpg.Record | None) -> Scores:
    assert row is not None  # aggregates give a row of nothing too
    tools, *columns = row
    return aggregated(tools, columns)


def _tool(row: asyncpg.Record) -> IndexedTool:
    return IndexedTool(
        tool_id=row["tool_id"],
        version=row["version"],
        name=row["name"],
        group=row["group_name"],
        integration_id=row["integration_id"],
        requires=row["requires"],
        produces=row["produces"],
    )


def _quoted(lexeme: str) -> str:
    """A lexeme as tsquery's syntax has it."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
