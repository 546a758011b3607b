"""Writes what a document changed: one transaction, fenced by the import's lease."""

import asyncio

from models.tenants import OrgScope
from models.tools import Integration
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.reconcile import Changes, reconcile
from planvault.ports import Ids
from planvault.storage import catalog, catalog_imports, catalog_tools, tool_index
from planvault.storage.catalog_imports import ClaimedImport
from planvault.storage.pool import Connection, Pool, transaction
from retrieval.index.entries import index_row

# The pool's short limits guard the session hosts' fence, which this transaction never touches; thousands of tools are
# compared between its statements, and another import of the organisation may hold the names for as long.
_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '5min'; SET LOCAL lock_timeout = '5min'"


async def store(
    pool: Pool,
    claim: ClaimedImport,
    integration: Integration,
    extraction: Extraction,
    ids: Ids,
    *,
    model: str,
    lease_s: float,
    server: str,
) -> None:
    """Raises OwnershipLost where another worker took the import over; then nothing is written."""
    scope = claim.scope
    async with transaction(pool) as connection:
        await connection.execute(_PATIENCE)
        await catalog_tools.lock_names(connection, scope)
        await catalog_imports.renew_import(connection, claim, lease_s)
        known = await catalog_tools.latest_versions(connection, scope, integration.id)
        taken = await catalog_tools.names_of_others(connection, scope, integration.id)
        changes = await asyncio.to_thread(reconcile, extraction, integration, known, taken, ids)
        await write(connection, scope, integration, changes)
        await catalog.record_document(
            connection,
            scope,
            integration.id,
            sha256=extraction.sha256,
            changed=bool(known and (changes.inserted or changes.retired or changes.revived)),
            server=server,
        )
        waiting = await tool_index.count_to_embed(connection, scope, integration.id, model)
        await catalog_imports.import_parsed(
            connection, claim, changes.report, extraction.notes, total=changes.total, done=changes.total - waiting
        )


async def write(connection: Connection, scope: OrgScope, integration: Integration, changes: Changes) -> None:
    """Old versions first: a name is current once in an organisation. The index last: it makes others wait."""
    await catalog_tools.retire(connection, scope, integration.id, changes.retired)
    for tool in changes.revived:
        await catalog_tools.revive(connection, scope, tool)
    rows = await asyncio.to_thread(lambda: [index_row(tool) for tool in (*changes.inserted, *changes.revived)])
    documents = [(tool, row.document) for tool, row in zip(changes.inserted, rows, strict=False)]
    await catalog_tools.insert_tools(connection, scope, documents)
    offered = {tool.id for tool in changes.inserted}
    gone = [tool_id for tool_id in changes.retired if tool_id not in offered]
    await tool_index.deactivate(connection, scope, integration.id, gone)
    await tool_index.upsert(connection, scope, rows)
