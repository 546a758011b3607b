"""One bulk import from its claim to its end: the driver of two pipelines (cluster.jobs.driver).

Nothing is kept in memory that the database does not have: who claims the job next goes on from there.
"""

import structlog

from cluster.jobs.bounds import Bounds, bound
from cluster.jobs.documents import import_documents
from cluster.jobs.session import settings, with_database
from cluster.jobs.vectors import embed_tools
from models.bulk_imports import Stage
from planvault.clock import TimeOrderedIds
from planvault.ingestion.bulk.embed import batches
from planvault.ingestion.bulk.groups import regroup
from planvault.ingestion.bulk.prepare import prepare
from planvault.ingestion.bulk.vanish import report_vanished
from planvault.storage import bulk_imports, tool_vectors
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped
from retrieval.embedding import EMBEDDING_MODEL

_log = structlog.get_logger(__name__)


def import_all(claim: ClaimedJob) -> None:
    """Raises OwnershipLost (as the cause of what Ray raises) where the job was taken over or cancelled."""
    settings()
    log = _log.bind(import_id=str(claim.id), org_id=str(claim.scope.org_id), attempt=claim.attempt)
    bounds = Bounds.of_cluster()
    bound(bounds)

    portions = with_database(lambda pool: prepare(pool, claim))
    if portions or claim.stage is Stage.DOCUMENTS:
        with_database(lambda pool: bulk_imports.enter_stage(scoped(pool, claim.scope), claim, Stage.DOCUMENTS))
        log.info("bulk_import.documents", portions=len(portions))
        import_documents(claim, portions, bounds)
        with_database(lambda pool: report_vanished(pool, claim))

    waiting = with_database(lambda pool: tool_vectors.pending(scoped(pool, claim.scope), claim, EMBEDDING_MODEL))
    with_database(
        lambda pool: bulk_imports.enter_stage(scoped(pool, claim.scope), claim, Stage.EMBEDDING, to_embed=len(waiting))
    )
    log.info("bulk_import.embedding", tools=len(waiting))
    embed_tools(claim, list(batches(waiting)), bounds)

    async def group(pool: Pool) -> None:
        await bulk_imports.enter_stage(scoped(pool, claim.scope), claim, Stage.GROUPS)
        await regroup(pool, claim, TimeOrderedIds(), EMBEDDING_MODEL)
        await bulk_imports.complete_job(scoped(pool, claim.scope), claim)

    with_database(group)
    log.info("bulk_import.completed")
