"""Documents that were imported under the job's prefix and are not part of it: reported, retired only if asked."""

from models.bulk_imports import Finding
from planvault.ingestion.store import PATIENCE
from planvault.storage import bulk_documents, bulk_imports, catalog_tools, tool_index
from planvault.storage.bulk_documents import Vanished
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Connection, Pool
from planvault.storage.tenancy import scoped, within


async def report_vanished(pool: Pool, claim: ClaimedJob) -> None:
    """One transaction a document, so that a taken-over job goes on where it was."""
    for one in await bulk_documents.vanished(scoped(pool, claim.scope), claim):
        async with within(pool, claim.scope) as connection:
            await connection.execute(PATIENCE)
            await catalog_tools.lock_names(connection, claim.scope)
            await bulk_imports.hold_job(connection, claim)
            await _report(connection, claim, one)


async def _report(connection: Connection, claim: ClaimedJob, one: Vanished) -> None:
    tools = await bulk_documents.current_tools(connection, claim, one.integration_id) if claim.prune else []
    if await bulk_documents.report_vanished(connection, claim, one, removed=len(tools)):
        what = "were retired" if claim.prune else "stay; import with prune to retire them"
        problem = f"The document is not there any more. Its {one.tools:,} tools {what}."
        finding = Finding(path=one.path, position=0, outcome="removed", problems=(problem,))
        await bulk_documents.add_findings(connection, claim, [finding])
    if tools:
        await bulk_documents.forget_document(connection, claim, one.integration_id)
        await catalog_tools.retire(connection, claim.scope, tools)
        await tool_index.deactivate(connection, claim.scope, one.integration_id, tools)
