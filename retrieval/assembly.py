"""A selector put together over one pool, for each process that selects."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from planvault.ports import Clock, Embedder, Keyring
from planvault.storage.pool import Pool
from retrieval.candidates import Finder
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.groups.postgres import PostgresGroupRouter
from retrieval.groups.router import GroupRouter
from retrieval.index.port import ToolIndex
from retrieval.index.postgres import PostgresIndex
from retrieval.index.resident import ResidentIndex, ResidentOptions
from retrieval.scenarios.source import BoostSource
from retrieval.selection import Selector


@asynccontextmanager
async def open_selector(
    pool: Pool, keyring: Keyring, embedder: Embedder, clock: Clock, *, resident_mb: int = 0
) -> AsyncIterator[Selector]:
    """Ready until the block ends. `resident_mb`: memory for copies of the index in this process; 0: none."""
    index: ToolIndex = PostgresIndex(pool, EMBEDDING_MODEL)
    router: GroupRouter = PostgresGroupRouter(pool, EMBEDDING_MODEL)
    async with AsyncExitStack() as stack:
        if resident_mb:
            resident = ResidentIndex(pool, index, router, ResidentOptions(resident_mb * 1024 * 1024), clock=clock)
            await stack.enter_async_context(resident.open())
            index, router = resident, resident
        finder = Finder(index, router)
        yield Selector(pool, embedder, finder, BoostSource(pool, keyring, clock), clock)
