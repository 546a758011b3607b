"""What a run reads of the catalog: the tools it was planned with, and where they are called now."""

from collections.abc import Sequence

from models.ids import ToolId
from models.policies import OrgSettings
from models.tenants import ProjectScope
from models.tools import Tool
from planvault.errors import NotFound
from planvault.ports import CallTarget, Keyring
from planvault.storage import catalog, catalog_tools
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped


class CatalogReader:
    """Implements the Catalog port."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def tools(self, scope: ProjectScope, ids: Sequence[tuple[ToolId, int]]) -> list[Tool]:
        """Tools at exactly these versions, in the order asked for. Raises NotFound for one that is gone."""
        found = await catalog_tools.tools_at(scoped(self._pool, scope), scope, ids)
        missing = [f"{tool_id} version {version}" for tool_id, version in ids if (tool_id, version) not in found]
        if missing:
            raise NotFound(f"These tools are in the catalog no more: {', '.join(missing)}.")
        return [found[wanted] for wanted in ids]

    async def binding(self, scope: ProjectScope, tool: Tool) -> CallTarget:
        """Where and how the project calls a tool now. Raises NotFound where its integration was deleted."""
        row = await catalog.call_target_row(scoped(self._pool, scope), scope, tool.integration_id)
        cipher = await self._keyring.cipher(scope.org_id)
        return CallTarget(
            base_url=row["base_url"],
            state=catalog.state_of(row, cipher, scope, tool.integration_id),
            egress=OrgSettings.model_validate(row["settings"]).egress,
        )
