"""An importer on a real database, with an embedder that counts what it is asked."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.base import JsonObject
from models.ids import ImportId, IntegrationId, ProjectId
from models.imports import ImportJob
from models.policies import EgressPolicy, OrgSettings
from models.tenants import OrgScope, ProjectScope
from models.tools import Tool
from planvault.clock import TimeOrderedIds
from planvault.ingestion.worker import CatalogImporter, ImporterOptions
from planvault.net.client import GuardedHttp
from planvault.ports import Span, Vector
from planvault.storage import catalog, catalog_imports, catalog_tools
from planvault.storage.pool import Pool
from planvault.storage.tenants import Tenants

IDS = TimeOrderedIds()
MODEL = "test-model"


@dataclass
class CountingEmbedder:
    """A unit vector from each text's hash. `fail_after` texts it breaks, until it is set to None."""

    texts: list[str] = field(default_factory=list)
    fail_after: int | None = None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if self.fail_after is not None and len(self.texts) + len(texts) > self.fail_after:
            raise ConnectionError("the embedder is gone")
        self.texts.extend(texts)
        return [_vector(text) for text in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[slice(*span)] for span in spans)])


def _vector(text: str) -> Vector:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=384)
    normalised: list[float] = (vector / np.linalg.norm(vector)).tolist()
    return normalised


@dataclass
class Desk:
    """One organisation with one project, and an importer."""

    pool: Pool
    scope: ProjectScope
    embedder: CountingEmbedder
    importer: CatalogImporter

    @property
    def org(self) -> OrgScope:
        return OrgScope(org_id=self.scope.org_id)

    async def integration(self, alias: str = "shop", base_url: str = "http://shop.example") -> IntegrationId:
        integration_id = IntegrationId(IDS.new())
        await catalog.create_integration(
            self.pool, self.org, integration_id, alias=alias, display_name=alias, base_url=base_url
        )
        return integration_id

    async def queue(
        self, integration_id: IntegrationId, document: JsonObject | str | None, url: str | None = None
    ) -> ImportId:
        import_id = ImportId(IDS.new())
        text = json.dumps(document) if isinstance(document, dict) else document
        await catalog_imports.create_import(self.pool, self.org, import_id, integration_id, document=text, spec_url=url)
        return import_id

    async def run(
        self, integration_id: IntegrationId, document: JsonObject | str | None, url: str | None = None
    ) -> ImportJob:
        """Import to the end."""
        import_id = await self.queue(integration_id, document, url)
        assert await self.importer.run_one()
        return await self.job(import_id)

    async def job(self, import_id: ImportId) -> ImportJob:
        return await catalog_imports.get_import(self.pool, self.org, import_id)

    async def tools(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in await catalog_tools.list_tools(self.pool, self.scope, limit=10_000)}


async def open_desk(pool: Pool, http: GuardedHttp, **options: float) -> Desk:
    """Closes what earlier tests left open: a claim takes imports of any organisation."""
    await pool.execute("UPDATE imports SET status = 'failed' WHERE status NOT IN ('completed', 'failed')")
    tenants = Tenants(pool, IDS)
    org = await tenants.create_organization("Acme", OrgSettings(egress=EgressPolicy(allow_loopback=True)))
    project = await tenants.create_project(OrgScope(org_id=org.id), "one")
    embedder = CountingEmbedder()
    chosen = ImporterOptions(embedding_model=MODEL, batch=4, **options)
    importer = CatalogImporter(pool, http, embedder, IDS, chosen)
    return Desk(pool, ProjectScope(org_id=org.id, project_id=ProjectId(project.id)), embedder, importer)
