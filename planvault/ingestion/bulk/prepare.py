"""Before the documents are read: what need not be, what each is to be called, and in which portions they go."""

from collections.abc import Iterator, Sequence

from planvault.ingestion.bulk.aliases import give_aliases
from planvault.ingestion.openapi import EXTRACTION
from planvault.ingestion.store import PATIENCE
from planvault.storage import bulk_documents, bulk_imports, catalog_tools
from planvault.storage.bulk_documents import Waiting
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped, within

# A portion is what one task reads, extracts and stores: large enough that the tasks' own cost does not matter (10 ms of
# 1 s), small enough that little is done again after a crash. One document may be larger.
PORTION_BYTES = 1_500_000
PORTION_DOCUMENTS = 32


async def prepare(pool: Pool, claim: ClaimedJob) -> list[Sequence[str]]:
    """The portions that are left to do. Done again by each attempt, it changes nothing that was given before."""
    async with within(pool, claim.scope) as connection:
        await connection.execute(PATIENCE)
        await catalog_tools.lock_names(connection, claim.scope)
        await bulk_imports.hold_job(connection, claim)
        await bulk_documents.mark_unchanged(connection, claim, EXTRACTION)
        paths = await bulk_documents.without_alias(connection, claim)
        if paths:
            taken = await bulk_documents.taken_aliases(connection, claim)
            await bulk_documents.give_aliases(connection, claim, give_aliases(claim.name_prefix, paths, taken))
    return list(portions(await bulk_documents.waiting(scoped(pool, claim.scope), claim)))


def portions(documents: Sequence[Waiting]) -> Iterator[Sequence[str]]:
    """Paths, in order, by size. The order is that of the paths, so that names are given in the same order each time."""
    paths: list[str] = []
    size = 0
    for document in documents:
        if paths and (size + document.size > PORTION_BYTES or len(paths) >= PORTION_DOCUMENTS):
            yield paths
            paths, size = [], 0
        paths.append(document.path)
        size += document.size
    if paths:
        yield paths
