"""Tools at all their versions. A run keeps the version that it was planned with; selection sees the current ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.ids import IntegrationId, ToolId
from models.tenants import OrgScope, ProjectScope
from models.tools import Tool
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/catalog_tools.sql")


_INCOMING = ("id", "version", "integration_id", "name", "group_name", "definition", "definition_hash", "document")


@dataclass(frozen=True, slots=True)
class KnownTool:
    """The newest version of a tool that an integration has or had, without its definition.

    `route`: method and path of its request; `("native", function)` of a native tool.
    """

    id: ToolId
    integration_id: IntegrationId
    version: int
    name: str
    route: tuple[str, str]
    definition_hash: str
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


async def known_tools(db: Queryable, scope: OrgScope, integrations: Sequence[IntegrationId]) -> list[KnownTool]:
    """Every tool that these integrations have or had, at its newest version."""
    rows = await db.fetch(_SQL["known_tools"], scope.org_id, list(integrations))
    return [
        KnownTool(
            ToolId(row["id"]),
            IntegrationId(row["integration_id"]),
            row["version"],
            row["name"],
            (row["method"], row["path"]),
            row["definition_hash"],
            row["current"],
        )
        for row in rows
    ]


async def name_holders(db: Queryable, scope: OrgScope, names: Collection[str]) -> dict[str, IntegrationId]:
    """Which integration holds which of these names now; free ones are missing from the answer."""
    rows = await db.fetch(_SQL["name_holders"], scope.org_id, list(names))
    return {row["name"]: IntegrationId(row["integration_id"]) for row in rows}


async def retire(db: Queryable, scope: OrgScope, ids: Sequence[ToolId]) -> None:
    """These tools are offered no more; their versions stay for the runs that hold them."""
    if ids:
        await db.execute(_SQL["retire"], scope.org_id, list(ids))


async def revive(db: Queryable, scope: OrgScope, tools: Sequence[KnownTool]) -> None:
    """Their newest versions are offered again."""
    if tools:
        ids, versions = [tool.id for tool in tools], [tool.version for tool in tools]
        await db.execute(_SQL["revive"], scope.org_id, ids, versions)


async def insert_tools(db: Connection, scope: OrgScope, tools: Sequence[tuple[Tool, str]]) -> None:
    """New versions with the documents to embed. Needs a transaction."""
    if not tools:
        return
    await db.execute(_SQL["incoming"])
    # One after the other: the definitions of a large document would be some hundred megabytes at once.
    records = (
        (
            tool.id,
            tool.version,
            tool.integration_id,
            tool.name,
            tool.group,
            tool.model_dump_json(by_alias=True),
            tool.definition_hash,
            document,
        )
        for tool, document in tools
    )
    await db.copy_records_to_table("tools_incoming", records=records, columns=_INCOMING)
    await db.execute(_SQL["insert_incoming"], scope.org_id)
