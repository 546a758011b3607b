"""Imports from queue to catalog, on a real database and with a reading process of their own."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from models.base import JsonObject
from models.tools import ImportOutcome, ImportStatus
from planvault.errors import SpecRejected
from planvault.ingestion import worker
from planvault.ingestion.isolation import extract_isolated
from planvault.net.client import GuardedHttp
from planvault.storage import catalog, catalog_imports, catalog_tools
from planvault.storage.pool import Pool
from tests.integration.ingestion.importing import MODEL, Desk, open_desk
from tests.integration.tools.counting_server import answering, counting

pytestmark = pytest.mark.postgres


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    http = GuardedHttp()
    yield await open_desk(pool, http)
    await http.aclose()


def document(*names: str, summary: str = "", server: str = "") -> JsonObject:
    """One GET a name."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": server}] if server else [],
        "paths": {f"/{name}": {"get": {"operationId": name, "tags": ["t"], "summary": summary}} for name in names},
    }


def outcomes(report: object) -> dict[str | None, ImportOutcome]:
    return {entry.tool: entry.outcome for entry in report}


async def test_a_document_becomes_embedded_tools_and_a_report(desk: Desk) -> None:
    integration_id = await desk.integration()
    job = await desk.run(integration_id, document(*"abcdefghij"))
    assert (job.status, job.total, job.done, job.error) == (ImportStatus.COMPLETED, 10, 10, None)
    assert set(outcomes(job.report).values()) == {ImportOutcome.CREATED}
    tools = await desk.tools()
    assert (tools["a"].group, tools["a"].version, tools["a"].org_id) == ("shop/t", 1, desk.scope.org_id)
    rows = await desk.pool.fetch(
        "SELECT embedding, embedding_model FROM tool_index WHERE integration_id = $1", integration_id
    )
    assert {row["embedding_model"] for row in rows} == {MODEL}
    assert all(row["embedding"] is not None for row in rows)
    assert len(desk.embedder.texts) == 10
    assert await desk.pool.fetchval("SELECT document FROM imports WHERE id = $1", job.id) is None


async def test_an_import_ends_with_its_tools_in_groups_and_the_next_leaves_no_group_behind(desk: Desk) -> None:
    integration_id = await desk.integration()
    grouped = (
        "SELECT g.name, g.size, count(t.tool_id) AS tools FROM tool_group_centroids g"
        " JOIN tool_index t ON t.group_id = g.id AND t.active WHERE g.integration_id = $1 GROUP BY g.id"
    )
    await desk.run(integration_id, document(*"abcdefghij"))
    assert [tuple(row) for row in await desk.pool.fetch(grouped, integration_id)] == [("shop/t", 10, 10)]
    renamed = document(*"abcdefgh")
    for path in renamed["paths"].values():
        path["get"]["tags"] = ["u"]
    await desk.run(integration_id, renamed)
    assert [tuple(row) for row in await desk.pool.fetch(grouped, integration_id)] == [("shop/u", 8, 8)]


async def test_a_new_import_touches_only_what_changed(desk: Desk) -> None:
    integration_id = await desk.integration()
    await desk.run(integration_id, document("same", "changed", "gone"))
    before = await desk.tools()
    desk.embedder.texts.clear()
    newer = document("same", "changed", "fresh")
    newer["paths"]["/changed"]["get"]["summary"] = "Now different"
    job = await desk.run(integration_id, newer)
    assert outcomes(job.report) == {
        "same": ImportOutcome.UNCHANGED,
        "changed": ImportOutcome.UPDATED,
        "fresh": ImportOutcome.CREATED,
        "gone": ImportOutcome.REMOVED,
    }
    assert (job.total, job.done) == (3, 3)
    after = await desk.tools()
    assert set(after) == {"same", "changed", "fresh"}
    assert after["same"] == before["same"]
    assert (after["changed"].id, after["changed"].version) == (before["changed"].id, 2)
    assert len(desk.embedder.texts) == 2, "an unchanged tool was embedded again"
    # A run that was planned with the old versions still finds them.
    old = [(before["changed"].id, 1), (before["gone"].id, 1)]
    found = await catalog_tools.tools_at(desk.pool, desk.org, old)
    assert found[old[0]] == before["changed"]
    assert found[old[1]] == before["gone"]
    assert (await catalog.get_integration(desk.pool, desk.org, integration_id)).version == 2


async def test_a_removed_tool_that_comes_back_is_itself_again(desk: Desk) -> None:
    integration_id = await desk.integration()
    await desk.run(integration_id, document("a", "b"))
    before = await desk.tools()
    await desk.run(integration_id, document("b"))
    await desk.run(integration_id, document("a", "b"))
    assert await desk.tools() == before


async def test_a_renamed_operation_id_keeps_the_tools_identity(desk: Desk) -> None:
    integration_id = await desk.integration()
    await desk.run(integration_id, document("a"))
    renamed = document("a")
    renamed["paths"]["/a"]["get"]["operationId"] = "alpha"
    before = (await desk.tools())["a"]
    await desk.run(integration_id, renamed)
    after = (await desk.tools())["alpha"]
    assert (after.id, after.version) == (before.id, 2)


async def test_two_operations_may_exchange_their_names(desk: Desk) -> None:
    integration_id = await desk.integration()
    await desk.run(integration_id, document("a", "b"))
    swapped = document("a", "b")
    swapped["paths"]["/a"]["get"]["operationId"] = "b"
    swapped["paths"]["/b"]["get"]["operationId"] = "a"
    job = await desk.run(integration_id, swapped)
    assert job.status is ImportStatus.COMPLETED
    tools = await desk.tools()
    assert tools["a"].binding.path == "/b"


async def test_a_name_that_another_integration_holds_gets_a_prefix_and_keeps_it(desk: Desk) -> None:
    first, second = await desk.integration("one"), await desk.integration("two")
    await desk.run(first, document("list"))
    await desk.run(second, document("list"))
    assert set(await desk.tools()) == {"list", "two_list"}
    await catalog.delete_integration(desk.pool, desk.org, first)
    job = await desk.run(second, document("list"))
    assert outcomes(job.report) == {"two_list": ImportOutcome.UNCHANGED}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("hello", "not an object"),
        ('{"openapi": "3.0.0", "paths": {}}', "describes no operations"),
    ],
)
async def test_a_bad_document_fails_its_import_and_changes_nothing(desk: Desk, text: str, reason: str) -> None:
    integration_id = await desk.integration()
    await desk.run(integration_id, document("a"))
    job = await desk.run(integration_id, text)
    assert job.status is ImportStatus.FAILED
    assert reason in str(job.error)
    assert set(await desk.tools()) == {"a"}


async def test_what_cannot_be_imported_is_in_the_report_beside_what_can(desk: Desk) -> None:
    mixed = document("good")
    mixed["paths"]["/bad"] = {"get": {"operationId": "bad", "parameters": [{"$ref": "other.yaml#/x"}]}}
    job = await desk.run(await desk.integration(), mixed)
    skipped = [entry for entry in job.report if entry.outcome is ImportOutcome.SKIPPED]
    assert job.status is ImportStatus.COMPLETED
    assert [entry.operation for entry in skipped] == ["GET /bad"]
    assert "external reference" in skipped[0].problems[0]


async def test_an_import_continues_where_a_broken_embedder_left_it(desk: Desk) -> None:
    integration_id = await desk.integration()
    desk.embedder.fail_after = 4
    import_id = await desk.queue(integration_id, document(*"abcdefghij"))
    with pytest.raises(ConnectionError):
        await desk.importer.run_one()
    halfway = await desk.job(import_id)
    assert (halfway.status, halfway.total, halfway.done) == (ImportStatus.EMBEDDING, 10, 4)
    assert not await desk.importer.run_one(), "another worker took an import whose lease had not run out"
    desk.embedder.fail_after = None
    await desk.pool.execute("UPDATE imports SET leased_until = now() WHERE id = $1", import_id)
    assert await desk.importer.run_one()
    finished = await desk.job(import_id)
    assert (finished.status, finished.done, finished.attempts) == (ImportStatus.COMPLETED, 10, 2)
    assert len(desk.embedder.texts) == 10, "a stored vector was computed again"
    assert set(outcomes(finished.report).values()) == {ImportOutcome.CREATED}, "the report was lost"


async def test_an_import_that_never_ends_is_given_up(desk: Desk) -> None:
    import_id = await desk.queue(await desk.integration(), document("a"))
    await desk.pool.execute("UPDATE imports SET attempts = 5 WHERE id = $1", import_id)
    assert await desk.importer.run_one()
    job = await desk.job(import_id)
    assert job.status is ImportStatus.FAILED
    assert "tried 5 times" in str(job.error)


async def test_a_worker_that_lost_its_import_writes_no_tools(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await desk.queue(await desk.integration(), document("a"))

    async def slow(text: str) -> object:
        extraction = await extract_isolated(text)
        await desk.pool.execute("UPDATE imports SET leased_until = now() WHERE id = $1", import_id)
        assert await catalog_imports.claim_import(desk.pool, 30) is not None  # another worker
        return extraction

    monkeypatch.setattr(worker, "extract_isolated", slow)
    assert await desk.importer.run_one()
    assert await desk.tools() == {}
    assert (await desk.job(import_id)).status is ImportStatus.PARSING


async def test_a_document_is_fetched_by_url_and_its_relative_server_stands_against_it(desk: Desk) -> None:
    body = json.dumps(document("a", server="/v2")).encode()
    async with counting(answering(200, body)) as server:
        integration_id = await desk.integration(base_url="")
        job = await desk.run(integration_id, None, url=f"{server.url}/docs/openapi.json")
        assert job.status is ImportStatus.COMPLETED
        found = await catalog.get_integration(desk.pool, desk.org, integration_id)
        assert found.base_url == f"{server.url}/v2"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (document("a"), ""),
        ({"swagger": "2.0", "info": {"title": "Shop"}, "basePath": "/v1", "paths": {"/a": {"get": {}}}}, "/v1"),
    ],
)
async def test_a_document_that_names_no_server_means_the_one_it_came_from(
    desk: Desk, body: JsonObject, path: str
) -> None:
    async with counting(answering(200, json.dumps(body).encode())) as server:
        integration_id = await desk.integration(base_url="")
        await desk.run(integration_id, None, url=f"{server.url}/docs/openapi.json")
        assert (await catalog.get_integration(desk.pool, desk.org, integration_id)).base_url == f"{server.url}{path}"


async def test_a_url_that_the_policy_denies_or_that_does_not_answer_fails_the_import(desk: Desk) -> None:
    integration_id = await desk.integration()
    denied = await desk.run(integration_id, None, url="http://169.254.169.254/latest/meta-data")
    assert (denied.status, "no call may reach" in str(denied.error)) == (ImportStatus.FAILED, True)
    async with counting(answering(404, b"")) as server:
        missing = await desk.run(integration_id, None, url=server.url)
        assert "answered 404" in str(missing.error)


async def test_a_given_base_url_is_kept(desk: Desk) -> None:
    integration_id = await desk.integration(base_url="http://mine")
    await desk.run(integration_id, document("a", server="http://theirs"))
    assert (await catalog.get_integration(desk.pool, desk.org, integration_id)).base_url == "http://mine"


@pytest.mark.parametrize(
    ("given", "named", "warned"),
    [
        ("http://10.1.2.3/v1", "http://shop.example", "10.1.2.3 is a private address"),
        ("", "http://10.1.2.3/v1", "10.1.2.3 is a private address"),
        ("http://shop.example", "http://10.1.2.3/v1", ""),
    ],
)
async def test_an_address_that_is_shut_now_is_imported_with_a_warning(
    desk: Desk, given: str, named: str, warned: str
) -> None:
    """What a policy, or the operator, may open later is no fault of the document."""
    integration_id = await desk.integration(base_url=given)
    job = await desk.run(integration_id, document("a", server=named))
    assert job.status is ImportStatus.COMPLETED
    notes = [note for note in job.notes if "refused as things stand" in note]
    assert [warned in note and "egress policy" in note for note in notes] == ([True] if warned else [])


async def test_a_document_that_takes_too_long_is_refused_and_its_process_ended() -> None:
    with pytest.raises(SpecRejected, match="took longer"):
        await extract_isolated(json.dumps(document("a")), timeout_s=0.01)


async def test_without_a_queue_there_is_nothing_to_do(desk: Desk) -> None:
    assert not await desk.importer.run_one()


@pytest.mark.parametrize("write", ["renew_import", "import_progress"])
async def test_an_integration_that_is_deleted_while_its_import_writes_waits_and_is_gone_afterwards(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    integration_id = await desk.integration()
    await desk.queue(integration_id, document("a", "b"))
    fence, deletions = getattr(catalog_imports, write), []

    async def meanwhile(*args: object) -> None:
        await fence(*args)
        deletions.append(asyncio.create_task(catalog.delete_integration(desk.pool, desk.org, integration_id)))
        async with asyncio.timeout(10):
            while not await desk.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE FROM in%'"
            ):
                await asyncio.sleep(0.01)

    monkeypatch.setattr(catalog_imports, write, meanwhile)
    assert await desk.importer.run_one()
    await asyncio.gather(*deletions)
    assert await desk.tools() == {}
