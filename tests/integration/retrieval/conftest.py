"""The real model, loaded once, and tenants with catalogs in a real database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from models.ids import IntegrationId, OrgId, ProjectId, ToolId
from models.tenants import OrgScope, ProjectScope
from models.tools import Tool
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.storage import catalog_tools, tool_index
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, transaction
from retrieval.assembly import open_selector
from retrieval.embedding import EMBEDDING_MODEL, InProcessEmbedder, MiniLm
from retrieval.index.entries import index_row
from retrieval.selection import Selector
from tests.unit.retrieval.tool_factory import http_tool

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
        org = OrgScope(org_id=scope.org_id)
        tools = [self._tool(scope, integration, name, text, current) for name, text in documents.items()]
        rows = [replace(index_row(tool), document=documents[tool.name]) for tool in tools]
        async with transaction(self.pool) as connection:
            await catalog_tools.insert_tools(connection, org, [(tool, documents[tool.name]) for tool in tools])
            await tool_index.upsert(connection, org, rows)
            if not current:
                retired = [tool.id for tool in tools]
                await catalog_tools.retire(connection, org, retired)
                await tool_index.deactivate(connection, org, integration, retired)
        if model:
            await self.embed(scope, integration, model)

    async def embed(self, scope: ProjectScope, integration: IntegrationId, model: str = EMBEDDING_MODEL) -> None:
        waiting = await tool_index.to_embed(self.pool, scope, integration, model, 100_000)
        vectors = self.model.embed([tool.document for tool in waiting]).tolist()
        async with transaction(self.pool) as connection:
            pairs = list(zip(waiting, vectors, strict=True))
            await tool_index.set_embeddings(connection, scope, integration, pairs, model)

    async def switch(self, scope: ProjectScope, integration: IntegrationId, *, enabled: bool) -> None:
        await self.pool.execute(
            "INSERT INTO project_integrations (org_id, project_id, integration_id, enabled) VALUES ($1, $2, $3, $4)",
            scope.org_id,
            scope.project_id,
            integration,
            enabled,
        )

    def _tool(self, scope: ProjectScope, integration: IntegrationId, name: str, text: str, current: bool) -> Tool:
        made = ToolId(IDS.new())
        if current:
            self.tools[name] = made
        tool = http_tool(name, description=text, group="group")
        return tool.model_copy(update={"id": made, "org_id": scope.org_id, "integration_id": integration})


@pytest.fixture
async def selector(pool: Pool, embedder: InProcessEmbedder, tmp_path: Path) -> AsyncIterator[Selector]:
    """As a host has it, over Postgres alone."""
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(tmp_path / "keys.json"), IDS)
    async with open_selector(pool, keyring, embedder, SystemClock()) as opened:
        yield opened


@pytest.fixture
def catalog(pool: Pool, minilm: MiniLm) -> CatalogWriter:
    return CatalogWriter(pool, minilm)
