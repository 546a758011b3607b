"""Puts the platform's own tools into an organisation's catalog."""

from collections.abc import Sequence

from models.ids import ImportId, IntegrationId, ToolId
from models.tenants import OrgScope
from models.tools import ImportOutcome, Integration, NativeBinding, OperationReport, Tool, ToolSource
from planvault.errors import NotFound
from planvault.ingestion.reconcile import Changes, definition_hash
from planvault.ingestion.store import write
from planvault.ports import Ids
from planvault.storage import catalog, catalog_imports, catalog_tools
from planvault.storage.catalog_tools import KnownTool
from planvault.storage.pool import Connection, Pool
from planvault.storage.tenancy import within
from planvault.tools.native import DEFAULT_TOOLS, NativeTool

ALIAS = "native"


async def install_native_tools(
    pool: Pool, scope: OrgScope, ids: Ids, *, tools: Sequence[NativeTool] = DEFAULT_TOOLS
) -> Integration:
    """The integration `native`, made where the organisation has none; a catalog worker embeds its tools.

    Where another integration has a tool of the same name already, that one keeps it and ours is left out.
    """
    async with within(pool, scope) as connection:
        await catalog_tools.lock_names(connection, scope)
        integration = await _integration(connection, scope, ids)
        known = await catalog_tools.known_tools(connection, scope, [integration.id])
        have = {tool.definition_hash for tool in known if tool.current}
        versions = {tool.name: tool for tool in known}
        holders = await catalog_tools.name_holders(connection, scope, [native.name for native in tools])
        free = [native for native in tools if holders.get(native.name, integration.id) == integration.id]
        offered = [_tool(native, versions.get(native.name), integration, ids) for native in free]
        fresh = [tool for tool in offered if tool.definition_hash not in have]
        if fresh:
            changes = Changes(integration.id, inserted=fresh, replaced=[tool.id for tool in fresh])
            await write(connection, scope, [changes])
            report = [
                OperationReport(operation=f"native {tool.name}", outcome=ImportOutcome.CREATED, tool=tool.name)
                for tool in fresh
            ]
            await catalog_imports.queue_embedding(connection, scope, ImportId(ids.new()), integration.id, report)
    return integration


async def _integration(connection: Connection, scope: OrgScope, ids: Ids) -> Integration:
    try:
        return await catalog.find_integration(connection, scope, ALIAS)
    except NotFound:
        return await catalog.create_integration(
            connection,
            scope,
            IntegrationId(ids.new()),
            alias=ALIAS,
            display_name="Native tools",
            source=ToolSource.NATIVE,
        )


def _tool(native: NativeTool, known: KnownTool | None, integration: Integration, ids: Ids) -> Tool:
    tool = Tool(
        id=known.id if known else ToolId(ids.new()),
        org_id=integration.org_id,
        integration_id=integration.id,
        version=known.version + 1 if known else 1,
        name=native.name,
        group=ALIAS,
        summary=native.summary,
        description=native.description,
        params=native.params,
        outputs=native.outputs,
        binding=NativeBinding(function=native.name),
        risk=native.risk,
        idempotency=native.idempotency,
        approval_policy=native.approval_policy,
    )
    return tool.model_copy(update={"definition_hash": definition_hash(tool)})
