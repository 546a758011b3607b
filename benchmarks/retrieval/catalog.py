"""A catalog on a real database, filled by the functions that an import runs; nothing is written past them."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from models.ids import IntegrationId
from models.tenants import ProjectScope
from models.tools import Tool
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.names import Compared, name_all
from planvault.ingestion.reconcile import Foreseen, reconcile
from planvault.ingestion.store import PATIENCE, write
from planvault.ports import Embedder, Ids
from planvault.storage import catalog, catalog_tools, tool_index
from planvault.storage.pool import Connection, Pool, transaction
from planvault.storage.tool_index import ToEmbed
from retrieval.groups.upkeep import GroupKeeper

_WAITING = 20_000  # more tools than an integration may have


@dataclass(frozen=True, slots=True)
class Source:
    """One integration to be: what its owner would call it, and what its document held."""

    title: str
    extraction: Extraction


@dataclass(frozen=True, slots=True)
class Rate:
    """So many things in so much time."""

    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        return round(self.count / self.seconds, 1) if self.seconds > 0 else 0.0


def alias_of(title: str) -> str:
    """The alias that an upload without a name gets (serve_apps.spec_upload)."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).lstrip("-0123456789")[:63].rstrip("-") or "api"


class Catalog:
    """One organisation's integrations and tools, with what was measured while they were imported."""

    def __init__(self, pool: Pool, scope: ProjectScope, ids: Ids, model: str) -> None:
        self._pool = pool
        self._scope = scope
        self._ids = ids
        self._model = model
        self._aliases: set[str] = set()
        self._waiting: list[IntegrationId] = []  # for vectors and groups
        self.stored = Rate(0, 0.0)

    async def add(self, sources: Sequence[Source]) -> list[list[Tool]]:
        """Store each source's tools under an integration of its own; the tools come back in the drafts' order."""
        started = time.perf_counter()
        async with transaction(self._pool) as connection:
            await connection.execute(PATIENCE)
            await catalog_tools.lock_names(connection, self._scope)
            stored = await self._stored(connection, sources)
        took = time.perf_counter() - started
        self.stored = Rate(self.stored.count + sum(map(len, stored)), self.stored.seconds + took)
        return stored

    async def _stored(self, connection: Connection, sources: Sequence[Source]) -> list[list[Tool]]:
        compared = [
            Compared(
                source.extraction,
                await catalog.create_integration(
                    connection,
                    self._scope,
                    IntegrationId(self._ids.new()),
                    alias=self._alias(source.title),
                    display_name=source.title[:200] or "API",
                ),
                (),
            )
            for source in sources
        ]
        identified = await name_all(connection, self._scope, compared)
        changes = [
            reconcile(one, named, self._ids, Foreseen(one.integration, ()))
            for one, named in zip(compared, identified, strict=True)
        ]
        await write(connection, self._scope, changes)
        self._waiting += [one.integration.id for one in compared]
        return [each.inserted for each in changes]

    async def embed(self, embedder: Embedder, batch: int) -> Rate:
        """Give every tool that waits for it its vector, `batch` texts in a call of the embedder."""
        started, count = time.perf_counter(), 0
        pending: list[tuple[IntegrationId, ToEmbed]] = []
        for integration in self._waiting:
            found = await tool_index.to_embed(self._pool, self._scope, integration, self._model, _WAITING)
            pending += [(integration, tool) for tool in found]
            while len(pending) >= batch:
                await self._embedded(embedder, pending[:batch])
                count, pending = count + batch, pending[batch:]
        await self._embedded(embedder, pending)
        return Rate(count + len(pending), time.perf_counter() - started)

    async def group(self, keeper: GroupKeeper) -> Rate:
        """Group what was embedded, integration by integration, as an import does when it has embedded its own."""
        started, groups = time.perf_counter(), 0
        for integration in self._waiting:
            groups += (await keeper.regroup(self._scope, integration)).groups
        self._waiting.clear()
        return Rate(groups, time.perf_counter() - started)

    async def _embedded(self, embedder: Embedder, batch: Sequence[tuple[IntegrationId, ToEmbed]]) -> None:
        vectors = await embedder.embed([tool.document for _, tool in batch])
        by_integration: dict[IntegrationId, list[tuple[ToEmbed, Sequence[float]]]] = {}
        for (integration, tool), vector in zip(batch, vectors, strict=True):
            by_integration.setdefault(integration, []).append((tool, vector))
        async with transaction(self._pool) as connection:
            for integration, pairs in by_integration.items():
                await tool_index.set_embeddings(connection, self._scope, integration, pairs, self._model)

    def _alias(self, title: str) -> str:
        wanted = alias_of(title)
        alias, number = wanted, 2
        while alias in self._aliases:
            alias, number = f"{wanted[:58]}-{number}", number + 1
        self._aliases.add(alias)
        return alias
