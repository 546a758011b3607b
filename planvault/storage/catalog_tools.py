"""Tools at all their versions. A run keeps the version that it was planned with; selection sees the current ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.ids import IntegrationId, ToolId
from models.tenants import OrgScope, ProjectScope
from models.tools import Tool
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/catalog_tools.sql")


@dataclass(frozen=True, slots=True)
class LatestVersion:
    """The newest version of a tool that an integration has or had."""

    tool: Tool
    document: str
    current: bool


async def list_tools(
    db: Queryable,
    scope: ProjectScope,
    *,
    after: str = "",
    limit: int = 100,
    integration_id: IntegrationId | None = None,
) -> list[Tool]:
    """A page of the project's enabled tools by name; the last name is the cursor of the next page."""
    rows = await db.fetch(_SQL["enabled_tools"], scope.org_id, scope.project_id, after, limit, integration_id)
    return [Tool.model_validate(row["definition"]) for row in rows]


async def names_of_integration(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> list[str]:
    """Names of its current tools; an integration may have thousands, whose definitions nobody needs here."""
    return [row["name"] for row in await db.fetch(_SQL["names_of"], scope.org_id, integration_id)]


async def tools_at(
    db: Queryable, scope: OrgScope, versions: Sequence[tuple[ToolId, int]]
) -> dict[tuple[ToolId, int], Tool]:
    """The tools at exactly these versions, current or not; what does not exist is missing from the answer."""
    ids, numbers = [tool_id for tool_id, _ in versions], [version for _, version in versions]
    rows = await db.fetch(_SQL["tools_at"], scope.org_id, ids, numbers)
    tools = [Tool.model_validate(row["definition"]) for row in rows]
    return {(tool.id, tool.version): tool for tool in tools}


async def lock_names(db: Connection, scope: OrgScope) -> None:
    """Take turns handing out names in an organisation; held until the transaction ends."""
    await db.execute(_SQL["lock_names"], scope.org_id)


async def latest_versions(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> list[LatestVersion]:
    rows = await db.fetch(_SQL["latest_versions"], scope.org_id, integration_id)
    return [LatestVersion(Tool.model_validate(row["definition"]), row["document"], row["current"]) for row in rows]


async def names_of_others(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> set[str]:
    """Tool names that the organisation's other integrations hold."""
    return {row["name"] for row in await db.fetch(_SQL["names_of_others"], scope.org_id, integration_id)}


async def retire(db: Queryable, scope: OrgScope, integration_id: IntegrationId, ids: Sequence[ToolId]) -> None:
    """These tools are offered no more; their versions stay for the runs that hold them."""
    await db.execute(_SQL["retire"], scope.org_id, integration_id, list(ids))


async def revive(db: Queryable, scope: OrgScope, tool: Tool) -> None:
    await db.execute(_SQL["revive"], scope.org_id, tool.integration_id, tool.id, tool.version)


async def insert_tools(db: Connection, scope: OrgScope, tools: Sequence[tuple[Tool, str]]) -> None:
    """New versions with the documents to embed."""
    await db.executemany(
        _SQL["insert_tool"],
        [
            (
                scope.org_id,
                tool.id,
                tool.version,
                tool.integration_id,
                tool.name,
                tool.group,
                tool.model_dump(mode="json", by_alias=True),
                tool.definition_hash,
                document,
            )
            for tool, document in tools
        ],
    )
