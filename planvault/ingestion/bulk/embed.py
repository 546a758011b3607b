"""The vectors of a job's tools: which are missing, in which batches, and how they are stored."""

from collections.abc import Iterator, Sequence

from models.ids import ToolId
from planvault.ingestion.store import PATIENCE
from planvault.storage import bulk_imports, tool_vectors
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
from planvault.storage.tenancy import within
from planvault.storage.tool_vectors import Pending, ToolVector

# What one task embeds: some seconds of work, which is all that a crash costs.
BATCH_TEXTS = 512


def batches(waiting: Sequence[Pending]) -> Iterator[Sequence[ToolId]]:
    """Texts of like length together, so that they pad each other least; the longest first, so that no long batch is
    left over when all others have ended."""
    ordered = sorted(waiting, key=lambda one: -one.length)
    for start in range(0, len(ordered), BATCH_TEXTS):
        yield [one.tool_id for one in ordered[start : start + BATCH_TEXTS]]


async def store_vectors(pool: Pool, claim: ClaimedJob, vectors: Sequence[ToolVector], model: str) -> None:
    """Done again it changes nothing. Raises OwnershipLost where another worker took the job over."""
    if not vectors:
        return
    async with within(pool, claim.scope) as connection:
        await connection.execute(PATIENCE)
        await bulk_imports.count_embedded(connection, claim, 0)  # the fence, held alone: it is written again below
        stored = await tool_vectors.store(connection, claim.scope, vectors, model)
        await bulk_imports.count_embedded(connection, claim, stored)
