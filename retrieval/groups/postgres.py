"""Routing in Postgres: one pgvector query over an organisation's centroids, exact."""

from typing import Final

import asyncpg
from pgvector import Vector

from models.ids import IntegrationId
from models.tenants import ProjectScope
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from retrieval.groups.explain import GroupOrigin, why
from retrieval.groups.routed import Routed, RoutedGroup
from retrieval.index.port import CatalogState
from retrieval.query import Query

_SQL = load("retrieval", "sql/group_routing.sql")

# Tools without a group are counted up to here: more of them decide nothing else.
UNGROUPED_COUNTED: Final = 5_000


class PostgresGroupRouter:
    """Implements GroupRouter. `model`: of the vectors that queries bring."""

    def __init__(self, pool: Pool, model: str) -> None:
        self._pool = pool
        self._model = model

    async def route(self, scope: ProjectScope, query: Query, top_k: int, seen: CatalogState | None = None) -> Routed:
        """See GroupRouter. `Routed.ungrouped` is counted up to UNGROUPED_COUNTED."""
        vectors = [Vector(vector) for vector in query.vectors]
        tenant = (scope.org_id, scope.project_id, self._model)
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_SQL["nearest_groups"], *tenant, vectors, top_k)
            facts = await connection.fetchrow(_SQL["group_facts"], *tenant, UNGROUPED_COUNTED)
        return Routed(
            groups=[_routed(row) for row in rows],
            considered=facts["considered"] if facts else 0,
            ungrouped=facts["ungrouped"] if facts else 0,
        )


def _routed(row: asyncpg.Record) -> RoutedGroup:
    origin = GroupOrigin(
        base=row["base"],
        parts=row["parts"],
        size=row["size"],
        base_size=row["base_size"],
        coherence=row["coherence"],
        base_coherence=row["base_coherence"],
        reach=row["reach"],
        routing=row["routing"],
    )
    return RoutedGroup(
        group_id=row["id"],
        integration_id=IntegrationId(row["integration_id"]),
        name=row["name"],
        size=row["size"],
        coherence=row["coherence"],
        routing=row["routing"],
        similarity=row["similarity"],
        expected=row["expected"],
        part=row["query_part"],
        why=why(origin),
    )
