"""The real model, loaded once, and tenants with catalogs in a real database."""

from dataclasses import dataclass, field

import pytest

from models.ids import IntegrationId, OrgId, ProjectId, ToolId
from models.tenants import ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.storage.pool import Pool
from retrieval.embedding import EMBEDDING_MODEL, InProcessEmbedder, MiniLm

IDS = TimeOrderedIds()


@pytest.fixture(scope="session")
def minilm() -> MiniLm:
    return MiniLm.load(threads=2)


@pytest.fixture
def embedder(minilm: MiniLm) -> InProcessEmbedder:
    return InProcessEmbedder(minilm)


@dataclass
class CatalogWriter:
    """Writes catalog rows as ingestion leaves them, for tests that are about reading them."""

    pool: Pool
    model: MiniLm
    tools: dict[str, ToolId] = field(default_factory=dict)

    async def project(self, org_id: OrgId | None = None) -> ProjectScope:
        org = org_id or OrgId(IDS.new())
        await self.pool.execute(
            "INSERT INTO organizations (id, name) VALUES ($1, 'org') ON CONFLICT (id) DO NOTHING", org
        )
        project = ProjectId(IDS.new())
        await self.pool.execute(
            "INSERT INTO projects (id, org_id, name) VALUES ($1, $2, $3)", project, org, str(project)
        )
        return ProjectScope(org_id=org, project_id=project)

    async def integration(self, scope: ProjectScope, alias: str) -> IntegrationId:
        made = IntegrationId(IDS.new())
        await self.pool.execute(
            "INSERT INTO integrations (id, org_id, alias, display_name, source) VALUES ($1, $2, $3, $3, 'openapi')",
            made,
            scope.org_id,
            alias,
        )
        return made

    async def add(
        self,
        scope: ProjectScope,
        integration: IntegrationId,
        documents: dict[str, str],
        *,
        model: str | None = EMBEDDING_MODEL,
        current: bool = True,
    ) -> None:
        """One tool a name, embedded from its document; `model=None` leaves them without an embedding."""
        vectors = self.model.embed(list(documents.values()))
        rows = [
            (
                self._id(name, current),
                scope.org_id,
                integration,
                name,
                text,
                vector if model else None,
                model,
                current,
            )
            for (name, text), vector in zip(documents.items(), vectors, strict=True)
        ]
        await self.pool.executemany(
            """INSERT INTO tools (id, version, org_id, integration_id, name, group_name, definition, definition_hash,
                                  document, embedding, embedding_model, current)
               VALUES ($1, 1, $2, $3, $4, 'group', '{}', '', $5, $6, $7, $8)""",
            rows,
        )

    async def switch(self, scope: ProjectScope, integration: IntegrationId, *, enabled: bool) -> None:
        await self.pool.execute(
            "INSERT INTO project_integrations (org_id, project_id, integration_id, enabled) VALUES ($1, $2, $3, $4)",
            scope.org_id,
            scope.project_id,
            integration,
            enabled,
        )

    def _id(self, name: str, current: bool) -> ToolId:
        made = ToolId(IDS.new())
        if current:
            self.tools[name] = made
        return made


@pytest.fixture
def catalog(pool: Pool, minilm: MiniLm) -> CatalogWriter:
    return CatalogWriter(pool, minilm)
