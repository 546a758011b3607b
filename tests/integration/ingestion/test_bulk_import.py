"""Many documents as one job, on a real database: what is stored, what is left alone, what is refused, who may write."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from models.bulk_imports import BulkStatus, Stage
from models.ids import BulkImportId, IntegrationId
from models.tenants import OrgScope
from planvault.errors import Conflict, NotFound, OwnershipLost, Unavailable
from planvault.ingestion.bulk import store as bulk_store
from planvault.ingestion.bulk.groups import regroup
from planvault.ingestion.bulk.prepare import prepare
from planvault.ingestion.bulk.store import store_documents
from planvault.ingestion.reconcile import Changes
from planvault.storage import bulk_documents, bulk_imports, catalog, catalog_tools
from planvault.storage.pool import Connection, Pool, transaction
from retrieval.groups.upkeep import GroupKeeper, Regrouped
from tests.integration.ingestion.bulk import IDS, MODEL, Folder, document, extracted, open_folder, upload

pytestmark = pytest.mark.postgres


@pytest.fixture
async def folder(pool: Pool) -> Folder:
    return await open_folder(pool)


async def test_a_folder_becomes_integrations_with_tools_and_vectors(folder: Folder) -> None:
    job = await folder.run({"a/shop.json": document("list", "get"), "b.yaml": document("send")}, prefix="oad")
    assert (job.status, job.documents.stored, job.operations.created) == (BulkStatus.COMPLETED, 2, 3)
    assert (job.to_embed, job.embedded) == (0, 3)  # nobody entered the stage, each vector was counted
    tools = await folder.tools()
    assert {name: tool.group for name, tool in tools.items()} == {
        "list": "oad-a-shop",
        "get": "oad-a-shop",
        "send": "oad-b",
    }
    found = await catalog.find_integration(folder.pool, folder.org, "oad-b")
    assert (found.base_url, found.version) == ("https://shop.example", 1)
    assert await folder.pool.fetchval("SELECT count(*) FROM bulk_import_documents WHERE body IS NOT NULL") == 0


async def test_importing_again_reads_nothing_changes_nothing_and_embeds_nothing(folder: Folder) -> None:
    documents = {"a.json": document("list"), "b.json": document("list", "send")}
    await folder.run(documents)
    before = await folder.tools()
    await folder.queue(documents)
    claim = await folder.claim()
    assert await prepare(folder.pool, claim) == []
    assert await folder.embed(claim) == 0
    job = await folder.job(claim.id)
    assert (job.documents.unchanged, job.operations.unchanged, job.operations.tools) == (2, 3, 3)
    assert await folder.tools() == before


async def test_a_changed_document_makes_new_versions_beside_those_that_runs_hold(folder: Folder) -> None:
    await folder.run({"a.json": document("same", "gone"), "b.json": document("other")})
    before = await folder.tools()
    changed = document("same", "new")
    changed["paths"]["/same"]["get"]["summary"] = "Now different"
    job = await folder.run({"a.json": changed, "b.json": document("other")})
    counts = job.operations
    assert (counts.created, counts.updated, counts.unchanged, counts.removed) == (1, 1, 1, 1)
    after = await folder.tools()
    assert set(after) == {"same", "new", "other"}
    assert (after["same"].id, after["same"].version) == (before["same"].id, 2)
    old = [(before["same"].id, 1), (before["gone"].id, 1)]
    kept = await catalog_tools.tools_at(folder.pool, folder.org, old)
    assert [kept[one] for one in old] == [before["same"], before["gone"]]
    assert [line.outcome for line in await folder.findings(job.id)] == ["removed"]


async def test_what_is_refused_is_named_and_the_rest_is_imported(folder: Folder) -> None:
    mixed = document("good", "bad")
    mixed["paths"]["/bad"]["get"]["parameters"] = [{"$ref": "other.yaml#/x"}]
    job = await folder.run(
        {
            "a.json": mixed,
            "broken.json": "{",
            "empty.json": document(),
            "not.json": '{"hello": 1}',
            "z.json": document("z"),
        }
    )
    assert (job.documents.stored, job.documents.refused, job.operations.skipped) == (2, 3, 1)
    assert set(await folder.tools()) == {"good", "z"}
    said = {(line.path, line.operation, line.outcome): line.problems[0] for line in await folder.findings(job.id)}
    assert "external reference" in said["a.json", "GET /bad", "skipped"]
    assert "not valid JSON" in said["broken.json", "", "refused"]
    assert "no operations" in said["empty.json", "", "refused"]
    assert "no API description" in said["not.json", "", "refused"]


async def test_a_document_that_the_database_will_not_hold_costs_only_itself(folder: Folder) -> None:
    await folder.queue({"a.json": document("a"), "c.json": document("c")})
    claim = await folder.claim()
    [paths] = await prepare(folder.pool, claim)
    bodies = [extracted(path, body) for path, body in await bulk_documents.bodies(folder.pool, claim, paths)]
    spoilt = (bodies[0].extraction or b"").replace(b'"summary":""', b'"summary":"\\u0000"')
    ruined = bulk_store.ReadDocument("a.json", extraction=spoilt)
    await store_documents(folder.pool, claim, [ruined, bodies[1]], IDS)
    assert set(await folder.tools()) == {"c"}
    [line] = await folder.findings(claim.id)
    assert (line.path, line.outcome) == ("a.json", "refused")


async def test_a_document_beyond_the_database_s_limits_costs_only_itself(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.queue({"a.json": document("a"), "c.json": document("c")})
    write = bulk_store.write

    async def limited(connection: Connection, scope: OrgScope, documents: Sequence[Changes]) -> None:
        if any(tool.name == "a" for changes in documents for tool in changes.inserted):
            raise asyncpg.ProgramLimitExceededError("total size of jsonb object elements exceeds the maximum")
        await write(connection, scope, documents)

    monkeypatch.setattr(bulk_store, "write", limited)
    await folder.read(await folder.claim())
    assert set(await folder.tools()) == {"c"}


async def test_a_write_that_is_repeated_does_nothing(folder: Folder) -> None:
    await folder.queue({"a.json": document("a")})
    claim = await folder.claim()
    [paths] = await prepare(folder.pool, claim)
    read = [extracted(path, body) for path, body in await bulk_documents.bodies(folder.pool, claim, paths)]
    await store_documents(folder.pool, claim, read, IDS)
    before = await folder.tools()
    await store_documents(folder.pool, claim, read, IDS)
    assert await folder.tools() == before
    assert (await folder.job(claim.id)).operations.created == 1


async def test_who_lost_the_job_or_works_for_a_cancelled_one_writes_nothing(folder: Folder) -> None:
    await folder.queue({"a.json": document("a")})
    claim = await folder.claim()
    [paths] = await prepare(folder.pool, claim)
    read = [extracted(path, body) for path, body in await bulk_documents.bodies(folder.pool, claim, paths)]
    await folder.pool.execute("UPDATE bulk_imports SET leased_until = now() - interval '1 s' WHERE id = $1", claim.id)
    newer = await folder.claim()
    assert newer.attempt == claim.attempt + 1
    with pytest.raises(OwnershipLost):
        await store_documents(folder.pool, claim, read, IDS)
    async with transaction(folder.pool) as connection:
        await bulk_imports.cancel_job(connection, folder.org, claim.id)
    with pytest.raises(OwnershipLost):
        await store_documents(folder.pool, newer, read, IDS)
    assert await folder.tools() == {}


async def test_a_job_goes_on_where_its_worker_died(folder: Folder) -> None:
    documents = {f"{name}.json": document(name) for name in "abc"}
    await folder.queue(documents)
    claim = await folder.claim()
    [paths] = await prepare(folder.pool, claim)
    found = await bulk_documents.bodies(folder.pool, claim, paths)
    await store_documents(folder.pool, claim, [extracted(*found[0])], IDS)
    first = await folder.tools()
    await folder.pool.execute("UPDATE bulk_imports SET leased_until = now() - interval '1 s' WHERE id = $1", claim.id)
    again = await folder.claim()
    assert [list(left) for left in await prepare(folder.pool, again)] == [["b.json", "c.json"]]
    await folder.read(again)
    await folder.embed(again)
    tools = await folder.tools()
    assert set(tools) == {"a", "b", "c"}
    assert tools["a"] == first["a"]


async def test_only_vectors_that_are_missing_are_made_after_a_crash(folder: Folder) -> None:
    await folder.run({"a.json": document("a")})
    await folder.queue({"a.json": document("a"), "b.json": document("b", "c")})
    claim = await folder.claim()
    await folder.read(claim)
    await bulk_imports.enter_stage(folder.pool, claim, Stage.EMBEDDING, to_embed=2)
    assert await folder.embed(claim) == 2
    assert await folder.embed(claim) == 0
    assert (await folder.job(claim.id)).embedded == 2


async def test_an_integration_that_changes_faster_than_it_is_grouped_does_not_hold_the_job_up(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.queue({"a.json": document("a"), "b.json": document("b")})
    claim = await folder.claim()
    await folder.read(claim)
    seen: list[IntegrationId] = []

    async def changing(_keeper: GroupKeeper, _scope: OrgScope, integration_id: IntegrationId) -> Regrouped:
        seen.append(integration_id)
        raise Unavailable("changes too fast")

    monkeypatch.setattr(GroupKeeper, "regroup", changing)
    await regroup(folder.pool, claim, IDS, MODEL)
    assert len(seen) == 2


async def test_vanished_documents_are_reported_and_retired_only_if_asked(folder: Folder) -> None:
    await folder.run({"a.json": document("a"), "b.json": document("b")})
    job = await folder.run({"a.json": document("a")})
    assert (job.documents.vanished, job.documents.total, job.operations.removed) == (1, 1, 0)
    assert set(await folder.tools()) == {"a", "b"}
    [line] = await folder.findings(job.id)
    assert (line.path, line.outcome) == ("b.json", "removed")
    assert (await folder.run({"a.json": document("a")}, prefix="other")).documents.vanished == 0
    pruned = await folder.run({"a.json": document("a")}, prune=True)
    assert pruned.operations.removed == 1
    assert "b" not in await folder.tools()
    back = await folder.run({"a.json": document("a"), "b.json": document("b")})
    assert (back.documents.unchanged, back.documents.stored) == (1, 1)
    assert "b" in await folder.tools()


async def test_names_that_several_documents_claim_are_told_apart_and_stay(folder: Folder) -> None:
    documents = {f"{name}.json": document("list", "get") for name in "abc"}
    await folder.run(documents)
    names = set(await folder.tools())
    assert names == {"list", "get", "b_list", "b_get", "c_list", "c_get"}
    before = await folder.tools()
    changed = {path: {**one, "info": {"title": "Again", "version": "2"}} for path, one in documents.items()}
    job = await folder.run(dict(reversed(changed.items())))
    assert job.operations.unchanged == 6
    assert await folder.tools() == before


async def test_paths_that_spell_the_same_alias_keep_their_own_integrations(folder: Folder) -> None:
    await folder.run({"a/b.json": document("one"), "a-b.json": document("two")})
    first = {tool.name: tool.group for tool in (await folder.tools()).values()}
    assert len(set(first.values())) == 2
    await folder.run({"a/b.json": document("one", summary="!"), "a-b.json": document("two", summary="!")})
    assert {tool.name: tool.group for tool in (await folder.tools()).values()} == first


async def test_an_alias_that_is_taken_meanwhile_is_left_to_whoever_has_it(folder: Folder) -> None:
    await folder.queue({"shop.json": document("a")})
    claim = await folder.claim()
    await prepare(folder.pool, claim)
    await catalog.create_integration(folder.pool, folder.org, IDS.new(), alias="shop", display_name="theirs")
    await folder.read(claim)
    assert (await folder.tools())["a"].group.startswith("shop-")


async def test_organisations_neither_see_nor_touch_each_others_jobs(folder: Folder, pool: Pool) -> None:
    stranger = await open_folder(pool)
    job = await folder.run({"a.json": document("a")})
    with pytest.raises(NotFound):
        await stranger.job(job.id)
    with pytest.raises(NotFound):
        await bulk_imports.put_document(pool, stranger.org, job.id, upload("a.json", "{}"))
    assert await bulk_imports.list_jobs(pool, stranger.org, None, 10) == []
    assert await stranger.findings(job.id) == []
    assert await bulk_imports.list_documents(pool, stranger.org, job.id) == []


async def test_an_organisation_s_jobs_run_one_after_the_other(folder: Folder) -> None:
    await folder.queue({"a.json": document("a")})
    await folder.queue({"b.json": document("b")})
    first = await folder.claim()
    assert await bulk_imports.claim_job(folder.pool, 60.0) is None
    await bulk_imports.complete_job(folder.pool, first)
    assert (await folder.claim()).id != first.id


async def test_an_organisation_s_jobs_are_not_claimed_together(folder: Folder) -> None:
    for round_ in range(4):
        jobs = [await folder.queue({f"{round_}{number}.json": document("a")}) for number in range(3)]
        found = await asyncio.gather(*(bulk_imports.claim_job(folder.pool, 60.0) for _ in range(6)))
        [claim] = [one for one in found if one is not None]
        for job in jobs:
            async with transaction(folder.pool) as connection:
                await bulk_imports.cancel_job(connection, folder.org, job)
        assert claim.id in jobs


async def test_an_import_is_cancelled_while_a_large_document_of_it_is_written(folder: Folder) -> None:
    await folder.queue({"a.json": document("a")})
    claim = await folder.claim()

    async def cancelled() -> BulkStatus:
        async with transaction(folder.pool) as connection:
            await connection.execute("SET LOCAL lock_timeout = 50")
            return (await bulk_imports.cancel_job(connection, folder.org, claim.id)).status

    async with transaction(folder.pool) as writer:
        await bulk_imports.hold_job(writer, claim)
        waiting = asyncio.create_task(cancelled())
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        assert not done, "gave up on a write that ends soon"
    assert await waiting is BulkStatus.CANCELLED
    with pytest.raises(OwnershipLost):
        await bulk_imports.complete_job(folder.pool, claim)


async def test_a_job_takes_documents_until_it_starts_and_starts_only_with_some(folder: Folder) -> None:
    empty = BulkImportId(IDS.new())
    await bulk_imports.create_job(folder.pool, folder.org, empty)
    async with transaction(folder.pool) as connection:
        with pytest.raises(Conflict, match="no documents"):
            await bulk_imports.start_job(connection, folder.org, empty)
    job_id = await folder.queue({"a.json": document("a")})
    with pytest.raises(Conflict, match="takes no documents"):
        await bulk_imports.put_document(folder.pool, folder.org, job_id, upload("b.json", "{}"))


async def test_two_writers_of_one_job_do_not_lock_each_other_up(folder: Folder) -> None:
    await folder.queue({f"{number:02}.json": document("list", f"get{number}") for number in range(12)})
    claim = await folder.claim()
    [paths] = await prepare(folder.pool, claim)
    read = [extracted(path, body) for path, body in await bulk_documents.bodies(folder.pool, claim, paths)]
    halves = (read[::2], read[1::2])
    await asyncio.gather(*(store_documents(folder.pool, claim, half, IDS) for half in halves))
    assert len(await folder.tools()) == 24


async def test_uploads_that_nobody_finished_are_given_up_and_old_reports_forgotten(folder: Folder) -> None:
    job_id = BulkImportId(IDS.new())
    await bulk_imports.create_job(folder.pool, folder.org, job_id)
    await bulk_imports.put_document(folder.pool, folder.org, job_id, upload("a.json", "{}"))
    old = (await folder.run({"b.json": document("b")})).id
    await folder.pool.execute("UPDATE bulk_imports SET created_at = now() - interval '8 days' WHERE id = $1", job_id)
    await folder.pool.execute("UPDATE bulk_imports SET finished_at = now() - interval '91 days' WHERE id = $1", old)
    await bulk_imports.expire(folder.pool)
    assert (await folder.job(job_id)).status is BulkStatus.CANCELLED
    with pytest.raises(NotFound):
        await folder.job(old)
    assert set(await folder.tools()) == {"b"}, "a forgotten report took tools with it"
