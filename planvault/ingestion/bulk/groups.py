"""After the vectors: the groups of every integration that the job has touched."""

from planvault.ports import Ids
from planvault.storage import bulk_documents, bulk_imports
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped, within
from retrieval.groups.upkeep import GroupKeeper


async def regroup(pool: Pool, claim: ClaimedJob, ids: Ids, model: str) -> None:
    """Cheap for integrations of which nothing changed. Raises OwnershipLost between two of them."""
    keeper = GroupKeeper(pool, ids, model)
    for integration_id in await bulk_documents.integrations(scoped(pool, claim.scope), claim):
        async with within(pool, claim.scope) as connection:
            await bulk_imports.hold_job(connection, claim)
        await keeper.follow(claim.scope, integration_id)  # what changes too fast is left to the next `heal`
