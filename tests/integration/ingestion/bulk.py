"""A bulk import on a real database without Ray: the stages in this process, one after the other."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.base import JsonObject
from models.bulk_imports import BulkImport, Finding
from models.ids import BulkImportId
from models.tenants import OrgScope, ProjectScope
from models.tools import Tool
from planvault.clock import TimeOrderedIds
from planvault.errors import SpecRejected, TooLarge
from planvault.ingestion.bulk.embed import batches, store_vectors
from planvault.ingestion.bulk.prepare import prepare
from planvault.ingestion.bulk.store import ReadDocument, store_documents
from planvault.ingestion.bulk.vanish import report_vanished
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec
from planvault.storage import bulk_documents, bulk_imports, catalog_tools, tool_vectors
from planvault.storage.bulk_imports import ClaimedJob, Upload
from planvault.storage.pool import Pool, transaction
from planvault.storage.tenants import Tenants
from planvault.storage.tool_vectors import ToolVector

IDS = TimeOrderedIds()
MODEL = "test-model"

Documents = Mapping[str, JsonObject | str]


@dataclass
class Folder:
    """One organisation with one project, and jobs over folders that are given as path → document."""

    pool: Pool
    scope: ProjectScope

    @property
    def org(self) -> OrgScope:
        return OrgScope(org_id=self.scope.org_id)

    async def queue(self, documents: Documents, *, prefix: str = "", prune: bool = False) -> BulkImportId:
        job_id = BulkImportId(IDS.new())
        await bulk_imports.create_job(self.pool, self.org, job_id, name_prefix=prefix, prune=prune)
        for path, document in documents.items():
            await bulk_imports.put_document(self.pool, self.org, job_id, upload(path, document))
        async with transaction(self.pool) as connection:
            await bulk_imports.start_job(connection, self.org, job_id)
        return job_id

    async def claim(self) -> ClaimedJob:
        claim = await bulk_imports.claim_job(self.pool, 60.0)
        assert claim is not None
        return claim

    async def run(self, documents: Documents, *, prefix: str = "", prune: bool = False) -> BulkImport:
        """To its end, each tool with a vector."""
        job_id = await self.queue(documents, prefix=prefix, prune=prune)
        claim = await self.claim()
        await self.read(claim)
        await self.embed(claim)
        await bulk_imports.complete_job(self.pool, claim)
        return await self.job(job_id)

    async def read(self, claim: ClaimedJob) -> None:
        for paths in await prepare(self.pool, claim):
            found = await bulk_documents.bodies(self.pool, claim, paths)
            await store_documents(self.pool, claim, [extracted(path, body) for path, body in found], IDS)
        await report_vanished(self.pool, claim)

    async def embed(self, claim: ClaimedJob) -> int:
        """How many tools there were without a vector."""
        waiting = await tool_vectors.pending(self.pool, claim, MODEL)
        for batch in batches(waiting):
            texts = await tool_vectors.texts(self.pool, claim.scope, batch, MODEL)
            vector = np.full(384, 384**-0.5, dtype=np.float32)
            vectors = [ToolVector(one.tool_id, one.integration_id, one.document_sha256, vector) for one in texts]
            await store_vectors(self.pool, claim, vectors, MODEL)
        return len(waiting)

    async def job(self, job_id: BulkImportId) -> BulkImport:
        return await bulk_imports.get_job(self.pool, self.org, job_id)

    async def findings(self, job_id: BulkImportId) -> list[Finding]:
        return await bulk_imports.list_findings(self.pool, self.org, job_id, limit=1_000)

    async def tools(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in await catalog_tools.list_tools(self.pool, self.scope, limit=10_000)}


async def close_open_jobs(pool: Pool) -> None:
    """What earlier tests left: a claim takes jobs of any organisation."""
    await pool.execute("UPDATE bulk_imports SET status = 'failed' WHERE status IN ('uploading', 'queued', 'running')")


async def open_folder(pool: Pool) -> Folder:
    await close_open_jobs(pool)
    tenants = Tenants(pool, IDS)
    org = await tenants.create_organization("Acme")
    project = await tenants.create_project(OrgScope(org_id=org.id), "one")
    return Folder(pool, ProjectScope(org_id=org.id, project_id=project.id))


def document(*names: str, summary: str = "", paths: Sequence[str] = ()) -> JsonObject:
    """One GET a name, at `/name` or where `paths` says."""
    places = paths or [f"/{name}" for name in names]
    return {
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "https://shop.example"}],
        "paths": {
            place: {"get": {"operationId": name, "summary": summary}} for name, place in zip(names, places, strict=True)
        },
    }


def upload(path: str, text: JsonObject | str) -> Upload:
    body = (text if isinstance(text, str) else json.dumps(text)).encode()
    return Upload(path, hashlib.sha256(body).hexdigest(), len(body), zlib.compress(body))


def extracted(path: str, body: bytes) -> ReadDocument:
    try:
        found = extract(parse_spec(zlib.decompress(body).decode()))
    except (SpecRejected, TooLarge) as refusal:
        return ReadDocument(path, refusal=refusal.detail)
    return ReadDocument(path, extraction=found.model_dump_json().encode())
