"""Makes the index's rows anew where the rules that make them have changed, or where a migration only moved them."""

import asyncio
from typing import Final

import structlog

from models.tenants import OrgScope
from planvault.storage import catalog_tools, tool_index
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped, within
from retrieval.index.entries import ENTRY_REVISION, index_row

_log = structlog.get_logger(__name__)
_BATCH: Final = 500  # definitions in memory, and rows in one transaction


async def remake_entries(pool: Pool) -> int:
    """Bring every organisation's rows up to ENTRY_REVISION; how many were made.

    Searches go on meanwhile: a row that waits is found by its vector alone. Several may run at once.
    """
    made = 0
    for org_id in await tool_index.organizations_to_make(pool, ENTRY_REVISION):
        scope = OrgScope(org_id=org_id)
        while waiting := await tool_index.to_make(scoped(pool, scope), scope, ENTRY_REVISION, _BATCH):
            tools = await catalog_tools.tools_at(scoped(pool, scope), scope, waiting)
            if not tools:
                break  # deleted since, or an index row without its tool: nothing to make it from
            rows = await asyncio.to_thread(lambda found: [index_row(tool) for tool in found], list(tools.values()))
            async with within(pool, scope) as connection:
                await tool_index.remake(connection, scope, rows)
            made += len(rows)
    if made:
        _log.info("tool_index.entries_made", tools=made, entry_revision=ENTRY_REVISION)
    return made
