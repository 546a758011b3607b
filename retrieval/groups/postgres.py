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
from retrieval.groups.explain import GroupOrigin, why
from retrieval.groups.nearest import Chosen, Standing, choose
from retrieval.groups.routed import Routed, RoutedGroup
from retrieval.index.port import CatalogState
from retrieval.query import Query

_SQL = load("retrieval", "sql/group_routing.sql")

# Tools without a group are counted up to here: more of them decide nothing else.
UNGROUPED_COUNTED: Final = 5_000
# The first vector's parameter, and the type that float4send writes.
_FIRST: Final = 4
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
        async with self._pool.acquire() as connection:
            spoken = await connection.fetchrow(_statement("all_centroids", len(vectors)), *tenant, *vectors)
            members = await connection.fetchrow(_statement("all_members", len(vectors)), *tenant, *vectors)
            standing = _centroids(spoken, len(vectors)).and_of(_members(members, len(vectors)))
            groups = await _described(connection, scope, choose(standing, top_k))
            ungrouped: int = await connection.fetchval(_SQL["ungrouped"], *tenant, UNGROUPED_COUNTED)
        return Routed(groups=groups, considered=len(standing.ids), ungrouped=ungrouped)


@cache
def _statement(name: str, parts: int) -> str:
    """A query of group_routing.sql for prompts of so many parts."""
    cosine = {
        "all_centroids": "-(g.centroid <#> ${number}) / g.coherence",
        "all_members": "-(t.embedding <#> ${number})",
    }[name]
    columns = [
        f"string_agg(float4send(({cosine.format(number=_FIRST + part)})::real), ''::bytea)" for part in range(parts)
    ]
    return _SQL[name].replace("{cosines}", ", ".join(columns))


def _centroids(row: asyncpg.Record | None, parts: int) -> Standing:
    ids, reaches, *columns = _columns(row, parts)
    return Standing.of_centroids(ids, np.frombuffer(reaches, dtype=_SENT).astype(np.float32), _matrix(columns))


def _members(row: asyncpg.Record | None, parts: int) -> Standing:
    groups, _, *columns = _columns(row, parts)
    return Standing.of_members(groups, _matrix(columns))


def _columns(row: asyncpg.Record | None, parts: int) -> list[bytes]:
    """An aggregate over no rows is NULL."""
    return [b""] * (2 + parts) if row is None or row["groups"] is None else list(row)


def _matrix(columns: Sequence[bytes]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
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
