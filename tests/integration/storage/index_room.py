"""An organisation's part of the index, and its counts counted again from the rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from models.ids import IntegrationId, OrgId, ToolId
from models.tenants import OrgScope
from planvault.clock import TimeOrderedIds
from planvault.storage import tool_index
from planvault.storage.pool import Pool, transaction
from planvault.storage.tool_index import IndexRow, ToEmbed

IDS = TimeOrderedIds()
MODEL = "model"

_COUNTED = """
SELECT substr(key, 13) AS lexeme, count(*) FILTER (WHERE substr(key, 12, 1) = ':') AS tools,
       count(*) FILTER (WHERE substr(key, 12, 1) = '!') AS strong
FROM tool_index, unnest(tsvector_to_array(lexemes)) AS key
WHERE org_id = $1 AND active AND substr(key, 12, 1) IN (':', '!') GROUP BY substr(key, 13)"""
_TOOLS = "SELECT integration_id, count(*) FILTER (WHERE active) AS tools FROM tool_index WHERE org_id = $1 GROUP BY 1"


def row(integration: IntegrationId, words: str, tool_id: ToolId | None = None, version: int = 1) -> IndexRow:
    lexemes = tuple(words.split())
    return IndexRow(
        tool_id=tool_id or ToolId(IDS.new()),
        version=version,
        integration_id=integration,
        name="_".join(lexemes),
        group="group",
        document=words,
        lexemes=lexemes,
        impacts={number: 0.5 for number, _ in enumerate(lexemes)},
        requires=(),
        produces=lexemes[:1],
        entry_revision=1,
    )


def waiting(one: IndexRow) -> ToEmbed:
    return ToEmbed(one.tool_id, one.version, one.document, sha256(one.document.encode()).digest())


@dataclass
class Room:
    pool: Pool
    org: OrgScope = field(default_factory=lambda: OrgScope(org_id=OrgId(IDS.new())))

    async def open(self) -> "Room":
        await self.pool.execute("INSERT INTO organizations (id, name) VALUES ($1, 'org')", self.org.org_id)
        return self

    async def integration(self) -> IntegrationId:
        made = IntegrationId(IDS.new())
        await self.pool.execute(
            "INSERT INTO integrations (id, org_id, alias, display_name, source) VALUES ($1, $2, $3, $3, 'openapi')",
            made,
            self.org.org_id,
            str(made),
        )
        return made

    async def put(self, rows: Sequence[IndexRow]) -> None:
        async with transaction(self.pool) as connection:
            await tool_index.upsert(connection, self.org, rows)

    async def embed(self, integration: IntegrationId, tools: Sequence[ToEmbed], first: float = 1.0) -> None:
        vector = [first] + [0.0] * 383
        async with transaction(self.pool) as connection:
            pairs = [(tool, vector) for tool in tools]
            await tool_index.set_embeddings(connection, self.org, integration, pairs, MODEL)

    async def retire(self, integration: IntegrationId, tools: Sequence[ToolId], *, back: bool = False) -> None:
        change = tool_index.reactivate if back else tool_index.deactivate
        async with transaction(self.pool) as connection:
            await change(connection, self.org, integration, tools)

    async def vector_of(self, tool: ToolId) -> float | None:
        """The first number of the tool's vector."""
        found = await self.pool.fetchval("SELECT embedding FROM tool_index WHERE tool_id = $1", tool)
        return None if found is None else float(found.to_list()[0])

    async def assert_counts_are_exact(self) -> None:
        org = self.org.org_id
        stats = await self.pool.fetch(
            "SELECT lexeme, tools, strong FROM lexeme_stats WHERE org_id = $1 AND (tools, strong) <> (0, 0)", org
        )
        assert {tuple(one) for one in stats} == {tuple(one) for one in await self.pool.fetch(_COUNTED, org)}
        by_integration = {one["integration_id"]: one["tools"] for one in await self.pool.fetch(_TOOLS, org)}
        kept = await self.pool.fetch("SELECT integration_id, tools FROM integration_revision WHERE org_id = $1", org)
        assert {one["integration_id"]: one["tools"] for one in kept if one["tools"]} == {
            integration: tools for integration, tools in by_integration.items() if tools
        }
        total = await self.pool.fetchval("SELECT tools FROM catalog_revision WHERE org_id = $1", org)
        assert (total or 0) == sum(by_integration.values())
