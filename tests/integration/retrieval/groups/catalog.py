"""Catalogs with vectors of a known structure, written as imports write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId, OrgId, ProjectId, ToolId
from models.tenants import OrgScope, ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.storage import tool_index
from planvault.storage.pool import Pool, transaction
from planvault.storage.tool_index import IndexRow, ToEmbed
from retrieval.groups.postgres import PostgresGroupRouter
from retrieval.groups.upkeep import GroupKeeper
from retrieval.query import Matrix, Query

IDS = TimeOrderedIds()
MODEL = "test-model"


@dataclass(frozen=True)
class GroupCatalog:
    """One organisation with one project."""

    pool: Pool
    scope: ProjectScope

    @classmethod
    async def create(cls, pool: Pool) -> "GroupCatalog":
        scope = ProjectScope(org_id=OrgId(IDS.new()), project_id=ProjectId(IDS.new()))
        await pool.execute("INSERT INTO organizations (id, name) VALUES ($1, 'org')", scope.org_id)
        await pool.execute(
            "INSERT INTO projects (id, org_id, name) VALUES ($1, $2, 'project')", scope.project_id, scope.org_id
        )
        return cls(pool, scope)

    @property
    def org(self) -> OrgScope:
        return OrgScope(org_id=self.scope.org_id)

    @property
    def keeper(self) -> GroupKeeper:
        return GroupKeeper(self.pool, IDS, MODEL)

    @property
    def router(self) -> PostgresGroupRouter:
        return PostgresGroupRouter(self.pool, MODEL)

    async def integration(self, alias: str = "api") -> IntegrationId:
        made = IntegrationId(IDS.new())
        await self.pool.execute(
            "INSERT INTO integrations (id, org_id, alias, display_name, source) VALUES ($1, $2, $3, $3, 'openapi')",
            made,
            self.scope.org_id,
            alias,
        )
        return made

    async def put(
        self, integration: IntegrationId, group: str, vectors: Matrix, tools: Sequence[ToolId] | None = None
    ) -> list[ToolId]:
        """Tools with these vectors, not grouped yet; `tools` are changed to them instead of made."""
        ids = list(tools) if tools is not None else [ToolId(IDS.new()) for _ in vectors]
        rows = [self._row(tool, integration, group, vector) for tool, vector in zip(ids, vectors, strict=True)]
        async with transaction(self.pool) as connection:
            await tool_index.upsert(connection, self.org, rows)
            pairs = [
                (ToEmbed(row.tool_id, row.version, row.document, sha256(row.document.encode()).digest()), list(vector))
                for row, vector in zip(rows, vectors.tolist(), strict=True)
            ]
            await tool_index.set_embeddings(connection, self.org, integration, pairs, MODEL)
        return ids

    async def retire(self, integration: IntegrationId, tools: Sequence[ToolId]) -> None:
        async with transaction(self.pool) as connection:
            await tool_index.deactivate(connection, self.org, integration, tools)

    async def revive(self, integration: IntegrationId, tools: Sequence[ToolId]) -> None:
        async with transaction(self.pool) as connection:
            await tool_index.reactivate(connection, self.org, integration, tools)

    async def switch(self, integration: IntegrationId, *, enabled: bool) -> None:
        await self.pool.execute(
            "INSERT INTO project_integrations (org_id, project_id, integration_id, enabled) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (project_id, integration_id) DO UPDATE SET enabled = excluded.enabled",
            self.scope.org_id,
            self.scope.project_id,
            integration,
            enabled,
        )

    async def groups(self, integration: IntegrationId) -> dict[str, tuple[int, str]]:
        """Name → size and routing."""
        rows = await self.pool.fetch(
            "SELECT name, size, routing FROM tool_group_centroids WHERE integration_id = $1", integration
        )
        return {row["name"]: (row["size"], row["routing"]) for row in rows}

    async def centroids(self, integration: IntegrationId) -> dict[frozenset[UUID], NDArray[np.float32]]:
        """The tools that stand in a group → its centroid."""
        rows = await self.pool.fetch(
            "SELECT g.centroid, array_agg(t.tool_id) AS tools FROM tool_group_centroids g"
            " LEFT JOIN tool_index t ON t.group_id = g.id AND t.active WHERE g.integration_id = $1 GROUP BY g.id",
            integration,
        )
        return {frozenset(row["tools"]): row["centroid"].to_numpy().astype(np.float32) for row in rows}

    def _row(self, tool: ToolId, integration: IntegrationId, group: str, vector: NDArray[np.float32]) -> IndexRow:
        return IndexRow(
            tool_id=tool,
            version=1,
            integration_id=integration,
            name=f"tool_{tool.hex}",
            group=group,
            document=vector.tobytes().hex(),
            lexemes=(),
            impacts={},
            requires=(),
            produces=(),
            entry_revision=1,
        )


def prompt(*vectors: NDArray[np.float32]) -> Query:
    """A prompt whose parts have these vectors."""
    return Query(
        parts=tuple("part" for _ in vectors),
        vectors=np.stack(vectors).astype(np.float32),
        terms=tuple({} for _ in vectors),
    )
