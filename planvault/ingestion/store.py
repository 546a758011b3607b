"""Writes what documents changed: one transaction, fenced by the import's lease."""

import asyncio
from collections.abc import Mapping, Sequence

from models.ids import ToolId
from models.tenants import OrgScope
from models.tools import Integration, Tool
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.foresight import foresee, names_of
from planvault.ingestion.names import compare, name_all
from planvault.ingestion.reconcile import Changes, Foreseen, reconcile
from planvault.ports import Ids
from planvault.storage import catalog, catalog_imports, catalog_tools, tool_index
from planvault.storage.catalog_imports import ClaimedImport
from planvault.storage.pool import Connection, Pool
from planvault.storage.tenancy import within
from planvault.storage.tool_index import IndexRow
from retrieval.index.entries import index_row

# The pool's short limits guard the session hosts' fence, which these transactions never touch; thousands of tools are
# compared between their statements, and another import of the organisation may hold the names for as long.
PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '5min'; SET LOCAL lock_timeout = '5min'"

# Tools whose index rows are in memory at a time: a document may have 20,000, of 10 KB and more each.
_AT_ONCE = 1_000


async def foresee_one(
    pool: Pool, scope: OrgScope, integration: Integration, extraction: Extraction, ids: Ids
) -> Foreseen:
    """What `store` would write of the operations if it came now. Holds nothing."""
    documents = [(extraction, integration)]
    async with within(pool, scope) as connection:
        await connection.execute(PATIENCE)
        named = await names_of(connection, scope, documents)
    [foreseen] = await foresee(documents, named, ids)
    return foreseen


async def store(
    pool: Pool,
    claim: ClaimedImport,
    foreseen: Foreseen,
    extraction: Extraction,
    ids: Ids,
    *,
    model: str,
    lease_s: float,
    server: str,
) -> None:
    """Raises OwnershipLost where another worker took the import over; then nothing is written."""
    scope, integration = claim.scope, foreseen.integration
    async with within(pool, scope) as connection:
        await connection.execute(PATIENCE)
        await catalog_tools.lock_names(connection, scope)
        await catalog.hold_integration(connection, scope, integration.id)
        await catalog_imports.renew_import(connection, claim, lease_s)
        [compared] = await compare(connection, scope, [(extraction, integration)])
        [identified] = await name_all(connection, scope, [compared])
        changes = await asyncio.to_thread(reconcile, compared, identified, ids, foreseen)
        await catalog.record_document(
            connection,
            scope,
            integration.id,
            sha256=extraction.sha256,
            changed=bool(compared.known and changes.any),
            server=server,
        )
        await write(connection, scope, [changes])
        waiting = await tool_index.count_to_embed(connection, scope, integration.id, model)
        await catalog_imports.import_parsed(
            connection, claim, changes.report, extraction.notes, total=changes.total, done=changes.total - waiting
        )


async def write(connection: Connection, scope: OrgScope, documents: Sequence[Changes]) -> None:
    """Old versions first: a name is current once in an organisation. The index last: it makes others wait."""
    old = [tool_id for changes in documents for tool_id in (*changes.replaced, *changes.retired)]
    await catalog_tools.retire(connection, scope, old)
    await catalog_tools.revive(connection, scope, [tool for changes in documents for tool in changes.revived])
    for changes in documents:
        revived = [tool.id for tool in changes.revived]
        await tool_index.deactivate(connection, scope, changes.integration_id, changes.retired)
        await tool_index.reactivate(connection, scope, changes.integration_id, revived)
    inserted = [tool for changes in documents for tool in changes.inserted]
    rows = {tool_id: row for changes in documents for tool_id, row in changes.rows.items()}
    for start in range(0, len(inserted), _AT_ONCE):
        await _insert(connection, scope, inserted[start : start + _AT_ONCE], rows)


async def _insert(
    connection: Connection, scope: OrgScope, tools: Sequence[Tool], made: Mapping[ToolId, IndexRow]
) -> None:
    rows = await asyncio.to_thread(lambda: [made.get(tool.id) or index_row(tool) for tool in tools])
    texts = [(tool, row.document) for tool, row in zip(tools, rows, strict=True)]
    await catalog_tools.insert_tools(connection, scope, texts)
    await tool_index.upsert(connection, scope, rows)
