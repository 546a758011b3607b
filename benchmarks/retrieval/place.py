"""Where a set is measured: a tenant of a fresh database with its catalog, and the selection that a host would have."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.retrieval.catalog import Catalog, Rate
from benchmarks.retrieval.sets import Named
from models.ids import ToolId
from models.tenants import ProjectScope
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.ports import Embedder
from planvault.settings import Settings
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate
from planvault.storage.pool import open_pool
from retrieval.assembly import open_selector
from retrieval.documents import tool_document
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.groups.upkeep import GroupKeeper
from retrieval.index.resident import ResidentIndex
from retrieval.selection import Selector

_IMPORT_PATIENCE_MS = 300_000
_TOOLS_A_TRANSACTION = 2_000
_SAMPLE = 2_000  # documents by which the model's own rate is taken


@dataclass(frozen=True, slots=True)
class Imported:
    """What the imports came to. `embedded`: with the writing of the vectors."""

    integrations: int
    stored: Rate
    embedded: Rate
    grouped: Rate  # in groups


@dataclass(frozen=True, slots=True)
class Place:
    url: str
    scope: ProjectScope
    ids: Mapping[ToolId, str]  # the set's id of each tool
    texts: Mapping[str, str]  # of the baselines, by the set's id, in the order of the import
    documents: Sequence[str]  # of the first tools: what an import has embedded
    imported: Imported


async def filled(url: str, sources: Iterable[Named], embedder: Embedder) -> Place:
    """A project of a default tenant with these integrations. `url`: of an empty database."""
    await migrate(url)
    ids = TimeOrderedIds()
    named: dict[ToolId, str] = {}
    texts: dict[str, str] = {}
    documents: list[str] = []
    integrations = 0
    async with await open_pool(
        url, name="benchmark-import", maximum=2, lock_timeout_ms=_IMPORT_PATIENCE_MS
    ) as importing:
        tenant = await ensure_default_tenant(importing, ids)
        scope = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
        catalog = Catalog(importing, scope, ids, EMBEDDING_MODEL)
        for batch in _batches(sources):
            tools = await catalog.add([each.source for each in batch])
            for each, made in zip(batch, tools, strict=True):
                named |= zip((tool.id for tool in made), each.ids, strict=True)
                texts |= zip(each.ids, each.texts, strict=True)
                documents += [tool_document(tool) for tool in made[: _SAMPLE - len(documents)]]
            integrations += len(batch)
        embedded = await catalog.embed(embedder, Settings().embedding_batch)
        grouped = await catalog.group(GroupKeeper(importing, ids, EMBEDDING_MODEL))
        # A server that has run for a while has looked at its tables; one that was filled a second ago has not.
        await importing.execute("VACUUM (ANALYZE)")
    imported = Imported(integrations, catalog.stored, embedded, grouped)
    return Place(url, scope, named, texts, documents, imported)


def _batches(sources: Iterable[Named]) -> Iterator[list[Named]]:
    """As many sources as make a transaction worth its commit. Only one batch is held at a time."""
    batch: list[Named] = []
    size = 0
    for source in sources:
        batch.append(source)
        size += len(source.ids)
        if size >= _TOOLS_A_TRANSACTION:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@asynccontextmanager
async def selecting(place: Place, embedder: Embedder, keyset: Path, resident_mb: int) -> AsyncIterator[Selector]:
    """The selector that a session host opens, over as many connections as its reads have."""
    async with await open_pool(place.url, name="reads", maximum=6) as pool:
        keyring = PostgresKeyring(pool, LocalKeyWrapper.at(keyset), TimeOrderedIds())
        async with open_selector(pool, keyring, embedder, SystemClock(), resident_mb=resident_mb) as selector:
            yield selector


async def settled(selector: Selector) -> str:
    """Wait until the copy of the index is there that the selections so far have asked for; the index that answers."""
    index = selector.finder.index
    if not isinstance(index, ResidentIndex):
        return "postgres"
    await index.caught_up()
    return f"resident, {index.nbytes / 2**20:.0f} MiB" if index.nbytes else "postgres: too few tools for a copy"
