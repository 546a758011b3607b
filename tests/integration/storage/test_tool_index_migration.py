"""Migration 0010 on a database that has tools already."""

import hashlib

import asyncpg
import pytest

from planvault.clock import TimeOrderedIds
from planvault.ingestion.entries import remake_entries
from planvault.storage.migrate import migrate, shipped
from planvault.storage.pool import open_pool
from retrieval.index.entries import ENTRY_REVISION
from tests.unit.retrieval.tool_factory import http_tool

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()
_TOOL = """
INSERT INTO tools (id, version, org_id, integration_id, name, group_name, definition, definition_hash, document,
                   embedding, embedding_model, current)
VALUES ($1, $2, $3, $4, $5, 'shop', $6, '', $7, $8, $9, $10)"""


@pytest.fixture
async def older(postgres_server: str, database_url: str) -> str:
    """A database of the release before, with one organisation's tools."""
    server = await asyncpg.connect(postgres_server)
    name = f"older_{IDS.new().hex}"
    await server.execute(f'CREATE DATABASE "{name}"')
    await server.close()
    url = postgres_server.replace("/postgres?", f"/{name}?")
    await migrate(url, [migration for migration in shipped() if migration.name < "0010"])
    return url


async def test_vectors_move_retired_tools_stay_and_entries_are_made_afterwards(older: str) -> None:
    org, integration, kept, gone, bare = (IDS.new() for _ in range(5))
    pool = await open_pool(older, name="test", maximum=2)
    await pool.execute("INSERT INTO organizations (id, name) VALUES ($1, 'org')", org)
    await pool.execute(
        "INSERT INTO integrations (id, org_id, alias, display_name, source) VALUES ($1, $2, 'a', 'a', 'openapi')",
        integration,
        org,
    )
    for tool_id, version, name, vector, current in (
        (kept, 1, "cancelOrder", 0.25, False),
        (kept, 2, "cancelOrder", 0.5, True),
        (gone, 1, "listOrders", 0.75, False),
        (bare, 1, "getOrder", None, True),
    ):
        tool = http_tool(name).model_copy(
            update={"id": tool_id, "version": version, "org_id": org, "integration_id": integration}
        )
        definition = tool.model_dump(mode="json", by_alias=True)
        embedding = None if vector is None else [vector] + [0.0] * 383
        model = None if vector is None else "model"
        await pool.execute(_TOOL, tool_id, version, org, integration, name, definition, name, embedding, model, current)
    await pool.close()

    assert "0010_tool_index.sql" in await migrate(older)

    pool = await open_pool(older, name="test", maximum=2)
    rows = {row["tool_id"]: row for row in await pool.fetch("SELECT * FROM tool_index")}
    assert {
        tool_id: (row["version"], row["active"], row["embedding"] and float(row["embedding"].to_list()[0]))
        for tool_id, row in rows.items()
    } == {kept: (2, True, 0.5), gone: (1, False, 0.75), bare: (1, True, None)}
    text = hashlib.sha256(b"cancelOrder").digest()
    assert (rows[kept]["document_sha256"], rows[kept]["embedded_sha256"], rows[kept]["embedding_model"]) == (
        text,
        text,
        "model",
    )
    assert (rows[bare]["embedded_sha256"], rows[bare]["embedding_model"]) == (None, None)
    assert await pool.fetchval("SELECT tools FROM catalog_revision WHERE org_id = $1", org) == 2
    assert await pool.fetchval("SELECT tools FROM integration_revision WHERE integration_id = $1", integration) == 2

    assert await remake_entries(pool) == 2
    assert await remake_entries(pool) == 0
    made = await pool.fetch("SELECT lexemes IS NOT NULL AS made, entry_revision FROM tool_index WHERE active")
    assert {tuple(row) for row in made} == {(True, ENTRY_REVISION)}
    assert await pool.fetchval("SELECT tools FROM lexeme_stats WHERE org_id = $1 AND lexeme = 'order'", org) == 2
    assert await pool.fetchval("SELECT tools FROM catalog_revision WHERE org_id = $1", org) == 2
    await pool.close()
