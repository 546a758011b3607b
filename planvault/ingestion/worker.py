"""Imports, one after the other: claim, read, store, embed, group. What a crash leaves, the next claim picks up."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin

import structlog

from models.tenants import OrgScope
from models.tools import ImportStatus, Integration
from planvault.errors import EgressDenied, NotFound, OwnershipLost, SpecRejected, TooLarge
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.fetch import fetch_spec
from planvault.ingestion.isolation import extract_isolated
from planvault.ingestion.store import foresee_one, store
from planvault.net.client import GuardedHttp
from planvault.ports import Embedder, Ids
from planvault.storage import catalog, catalog_imports, tool_index
from planvault.storage.catalog_imports import ClaimedImport
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped, within
from planvault.storage.tenants import Tenants
from retrieval.groups.upkeep import GroupKeeper

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ImporterOptions:
    embedding_model: str  # stored beside each vector
    batch: int = 64  # texts in one call of the embedder
    lease_s: float = 30.0
    max_attempts: int = 5  # claims of one import before it is given up


class CatalogImporter:
    """Runs imports under leases; several may run in one cluster."""

    def __init__(self, pool: Pool, http: GuardedHttp, embedder: Embedder, ids: Ids, options: ImporterOptions) -> None:
        self._pool = pool
        self._http = http
        self._embedder = embedder
        self._ids = ids
        self._options = options
        self._tenants = Tenants(pool, ids)
        self._groups = GroupKeeper(pool, ids, options.embedding_model)

    async def run_one(self) -> bool:
        """Claim one import and bring it to its end; False where none is waiting.

        A document's faults fail the import. Ours (no database, no embedder) raise, and the import is claimed again
        when its lease has run out, until it was tried `max_attempts` times.
        """
        claim = await catalog_imports.claim_import(self._pool, self._options.lease_s)
        if claim is None:
            return False
        log = _log.bind(import_id=str(claim.id), org_id=str(claim.scope.org_id), attempt=claim.attempt)
        try:
            await self._import(claim)
        except OwnershipLost:
            log.warning("import.taken_over")
        except (SpecRejected, TooLarge, EgressDenied, NotFound) as fault:
            log.info("import.rejected", code=fault.code)
            await catalog_imports.fail_import(scoped(self._pool, claim.scope), claim, fault.detail)
        else:
            log.info("import.completed")
        return True

    async def _import(self, claim: ClaimedImport) -> None:
        if claim.attempt > self._options.max_attempts:
            raise SpecRejected(
                f"The import was tried {claim.attempt - 1} times without reaching its end; see the logs, then retry."
            )
        integration = await catalog.get_integration(scoped(self._pool, claim.scope), claim.scope, claim.integration_id)
        if claim.status is ImportStatus.PARSING:
            text = await self._held(claim, self._text(claim))
            extraction = await self._held(claim, extract_isolated(text))
            if not extraction.drafts and not extraction.skipped:
                raise SpecRejected("The document describes no operations, so nothing was changed.")
            server = _server(extraction, claim.spec_url)
            extraction = await self._warned(claim.scope, integration.base_url or server, extraction)
            foreseen = await self._held(claim, foresee_one(self._pool, claim.scope, integration, extraction, self._ids))
            await store(
                self._pool,
                claim,
                foreseen,
                extraction,
                self._ids,
                model=self._options.embedding_model,
                lease_s=self._options.lease_s,
                server=server,
            )
        await self._embed(claim, integration)
        await self._held(claim, self._groups.follow(claim.scope, integration.id))
        await catalog_imports.complete_import(scoped(self._pool, claim.scope), claim)

    async def _warned(self, scope: OrgScope, address: str, extraction: Extraction) -> Extraction:
        """With a note where calls to `address` would be refused now. Not more: a setting may open it later."""
        policy = (await self._tenants.organization(OrgScope(org_id=scope.org_id))).settings.egress
        why = self._http.forbids(address, policy) if address else ""
        if not why:
            return extraction
        note = f"Calls to {address} are refused as things stand: {why}."
        return extraction.model_copy(update={"notes": (*extraction.notes, note)})

    async def _text(self, claim: ClaimedImport) -> str:
        if claim.document is not None:
            return claim.document
        if claim.spec_url is None:
            raise SpecRejected("The import has neither a document nor a URL.")
        organization = await self._tenants.organization(OrgScope(org_id=claim.scope.org_id))
        return await fetch_spec(self._http, claim.spec_url, organization.settings.egress)

    async def _embed(self, claim: ClaimedImport, integration: Integration) -> None:
        """Give every current tool of the integration its vector; each batch is stored with its progress."""
        options = self._options
        while True:
            batch = await tool_index.to_embed(
                scoped(self._pool, claim.scope), claim.scope, integration.id, options.embedding_model, options.batch
            )
            if not batch:
                return
            vectors = await self._held(claim, self._embedder.embed([tool.document for tool in batch]))
            async with within(self._pool, claim.scope) as connection:
                pairs = list(zip(batch, vectors, strict=True))
                await catalog.hold_integration(connection, claim.scope, integration.id)
                await catalog_imports.import_progress(connection, claim, len(batch), options.lease_s)
                await tool_index.set_embeddings(connection, claim.scope, integration.id, pairs, options.embedding_model)

    async def _held(self, claim: ClaimedImport, work: Coroutine[Any, Any, _T]) -> _T:
        """Await something long while renewing the lease. Raises OwnershipLost, and then the work is cancelled."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                done, _ = await asyncio.wait({task}, timeout=self._options.lease_s / 3)
                if not done:
                    await catalog_imports.renew_import(scoped(self._pool, claim.scope), claim, self._options.lease_s)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


def _server(extraction: Extraction, spec_url: str | None) -> str:
    """The document's server as an absolute URL; relative ones stand against where the document came from.

    A document that names none means `/` there (OpenAPI 3.1 §4.8.1), not its own address.
    """
    if extraction.server.startswith(("http://", "https://")):
        return extraction.server
    return urljoin(spec_url, extraction.server or "/").rstrip("/") if spec_url else ""
