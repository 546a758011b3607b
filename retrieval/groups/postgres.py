"""Routing in Postgres: one pgvector scan over an organisation's centroids, exact.

An approximate index would not help: the order is by cosine and reach together, the rows are a tenth of the tools, and
what is compared stays a tenth (docs/tool-groups.md, "Latency").
"""

from collections.abc import Sequence
from functools import cache
from typing import Final
from uuid import UUID

import asyncpg
import numpy as np
from pgvector import Vector

from models.ids import IntegrationId
from models.tenants import ProjectScope
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within
from retrieval.groups.explain import GroupOrigin, why
from retrieval.groups.nearest import Chosen, Standing, choose
from retrieval.groups.routed import Routed, RoutedGroup
from retrieval.index.port import CatalogState
from retrieval.query import Matrix, Query

_SQL = load("retrieval", "sql/group_routing.sql")

# Tools without a group are counted up to here: more of them decide nothing else.
UNGROUPED_COUNTED: Final = 5_000
# The first vector's parameter, and the type that float4send writes.
_FIRST: Final = 5
_SENT: Final = ">f4"


class PostgresGroupRouter:
    """Implements GroupRouter. `model`: of the vectors that queries bring."""

    def __init__(self, pool: Pool, model: str) -> None:
        self._pool = pool
        self._model = model

    async def route(self, scope: ProjectScope, query: Query, top_k: int, seen: CatalogState | None = None) -> Routed:
        """See GroupRouter. `Routed.ungrouped` is counted up to UNGROUPED_COUNTED."""
        vectors = [Vector(vector) for vector in query.vectors]
        tenant = (scope.org_id, scope.project_id, self._model)
        async with within(self._pool, scope) as connection:
            [row] = await connection.fetch(_statement(len(vectors)), *tenant, UNGROUPED_COUNTED, *vectors)
            standing = _standing(row, len(vectors))
            groups = await _described(connection, scope, choose(standing, top_k))
        return Routed(groups=groups, considered=len(standing.ids), ungrouped=row["ungrouped"])


@cache
def _statement(parts: int) -> str:
    """`standing` of group_routing.sql for prompts of so many parts."""
    numbers = range(_FIRST, _FIRST + parts)
    centroids = [f"-(g.centroid <#> ${number}) / g.coherence" for number in numbers]
    members = [f"-(t.embedding <#> ${number})" for number in numbers]
    return _SQL["standing"].replace("{centroids}", _packed(centroids)).replace("{members}", _packed(members))


def _packed(cosines: Sequence[str]) -> str:
    return ", ".join(f"string_agg(float4send(({cosine})::real), ''::bytea)" for cosine in cosines)


def _standing(row: asyncpg.Record, parts: int) -> Standing:
    """An aggregate over no rows is NULL."""
    ids, reaches, *centroids = (column or b"" for column in row[: 2 + parts])
    owners, *members = (column or b"" for column in row[2 + parts : 3 + 2 * parts])
    reach = np.frombuffer(reaches, dtype=_SENT).astype(np.float32)
    return Standing.of_centroids(ids, reach, _matrix(centroids)).and_of(Standing.of_members(owners, _matrix(members)))


def _matrix(columns: Sequence[bytes]) -> Matrix:
    return np.stack([np.frombuffer(column, dtype=_SENT) for column in columns]).astype(np.float32)


async def _described(connection: Connection, scope: ProjectScope, chosen: Sequence[Chosen]) -> list[RoutedGroup]:
    """Groups that were deleted between the two statements are left out."""
    rows = await connection.fetch(_SQL["groups"], scope.org_id, [UUID(bytes=one.group) for one in chosen])
    by_id = {row["id"].bytes: row for row in rows}
    return [_routed(by_id[one.group], one) for one in chosen if one.group in by_id]


def _routed(row: asyncpg.Record, chosen: Chosen) -> RoutedGroup:
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
        similarity=chosen.similarity,
        expected=chosen.expected,
        part=chosen.part,
        why=why(origin),
    )
