"""Stored results in real Postgres: in chunks, for their session only, swept when nobody references them."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from models.ids import BlobId, OrgId, RunId, SessionId
from models.policies import SessionSettings
from models.results import ResultPlace
from models.tenants import ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.chunks import CHUNK_BYTES
from planvault.crypto.kek import LocalKeyWrapper
from planvault.errors import DecryptionFailed, NotFound
from planvault.storage.blobs import Blobs
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, transaction
from planvault.storage.sessions import SessionDraft, Sessions

IDS = TimeOrderedIds()
LARGE = bytes(range(256)) * (CHUNK_BYTES * 3 // 256) + b"tail"
EXACT = b"x" * (2 * CHUNK_BYTES)


@pytest.fixture
def keyring(pool: Pool, tmp_path: Path) -> PostgresKeyring:
    return PostgresKeyring(pool, LocalKeyWrapper.at(tmp_path / "keyset.json"), IDS)


@pytest.fixture
def blobs(pool: Pool, keyring: PostgresKeyring) -> Blobs:
    return Blobs(pool, keyring, IDS)


@pytest.fixture
async def place(pool: Pool, keyring: PostgresKeyring) -> ResultPlace:
    await pool.execute("DELETE FROM data_keys")  # each test brings its own keyset
    tenant = await ensure_default_tenant(pool, IDS)
    project = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    sessions = Sessions(pool, keyring, keyring.pseudonym, 8)
    session_id = SessionId(IDS.new())
    async with transaction(pool) as connection:
        await sessions.insert(connection, project, session_id, SessionDraft({}, {}, (), None, SessionSettings()))
    scope = SessionScope(**project.model_dump(), session_id=session_id)
    return ResultPlace(scope=scope, run_id=RunId(IDS.new()))


@pytest.mark.parametrize("content", [b"", b"small", EXACT, LARGE], ids=["empty", "small", "whole chunks", "large"])
async def test_what_was_written_is_read_again(blobs: Blobs, place: ResultPlace, content: bytes) -> None:
    stored = await blobs.write(place, content, "application/json", "result")
    assert stored.size == len(content)
    assert await blobs.read(place.scope, stored) == content


async def test_a_blob_is_complete_or_not_there(blobs: Blobs, place: ResultPlace) -> None:
    writer = await blobs.begin(place)
    await writer.add(LARGE)
    with pytest.raises(NotFound):
        await blobs.head(place.scope, writer.blob_id)


async def test_nothing_of_it_is_readable_in_the_database(blobs: Blobs, pool: Pool, place: ResultPlace) -> None:
    await blobs.write(place, b"a secret phrase " * 1000, "text/x-secret", "result")
    rows = await pool.fetch("SELECT payload FROM blob_chunks UNION ALL SELECT detail FROM blobs WHERE size > 0")
    assert not any(b"secret" in row["payload"] for row in rows)


async def test_another_session_does_not_find_it(blobs: Blobs, place: ResultPlace) -> None:
    stored = await blobs.write(place, b"x", "", "result")
    for changed in ({"session_id": SessionId(IDS.new())}, {"org_id": OrgId(UUID(int=5))}):
        with pytest.raises(NotFound):
            await blobs.read(place.scope.model_copy(update=changed), stored)


async def test_a_reference_to_other_content_is_noticed(blobs: Blobs, place: ResultPlace) -> None:
    stored = await blobs.write(place, b"x", "", "result")
    with pytest.raises(DecryptionFailed):
        await blobs.read(place.scope, stored.model_copy(update={"sha256": "0" * 64}))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM blob_chunks WHERE blob_id = $1 AND position = 3",
        "DELETE FROM blob_chunks WHERE blob_id = $1 AND position = 1",
        "UPDATE blobs SET chunks = chunks - 1 WHERE id = $1",
        "UPDATE blob_chunks SET position = CASE position WHEN 0 THEN 10 ELSE position END WHERE blob_id = $1",
    ],
)
async def test_a_blob_with_a_chunk_missing_does_not_open(
    blobs: Blobs, pool: Pool, place: ResultPlace, damage: str
) -> None:
    stored = await blobs.write(place, LARGE, "", "result")
    await pool.execute(damage, stored.blob_id)
    with pytest.raises(DecryptionFailed):
        await blobs.read(place.scope, stored)


async def test_orphans_are_swept_and_what_is_kept_stays(blobs: Blobs, pool: Pool, place: ResultPlace) -> None:
    orphan = await blobs.write(place, b"orphan", "", "result")
    kept = await blobs.write(place, b"kept", "", "result")
    young = await blobs.write(place, b"young", "", "result")
    await pool.execute("UPDATE blobs SET kept = true WHERE id = $1", kept.blob_id)
    old = [orphan.blob_id, kept.blob_id]
    await pool.execute("UPDATE blobs SET created_at = now() - interval '2 days' WHERE id = ANY($1::uuid[])", old)
    while await blobs.sweep(timedelta(days=1), timedelta(days=1)):
        pass
    assert await _there(pool, place) == {kept.blob_id, young.blob_id}


async def test_what_an_ended_run_derived_is_swept(blobs: Blobs, pool: Pool, place: ResultPlace) -> None:
    derived = await blobs.write(place, b"derived", "", "fragment")
    result = await blobs.write(place, b"result", "", "result")
    await pool.execute("UPDATE blobs SET kept = true, created_at = now() - interval '2 days'")
    await _run(pool, place, is_open=True)
    assert await blobs.sweep(timedelta(days=1), timedelta(days=1)) == 0
    await pool.execute("UPDATE runs SET is_open = false, updated_at = now() - interval '2 days'")
    assert await blobs.sweep(timedelta(days=1), timedelta(days=1)) == 1
    assert derived.blob_id not in await _there(pool, place)
    assert result.blob_id in await _there(pool, place)


async def test_a_kept_blob_is_not_discarded(blobs: Blobs, pool: Pool, place: ResultPlace) -> None:
    kept = await blobs.write(place, b"kept", "", "result")
    await pool.execute("UPDATE blobs SET kept = true WHERE id = $1", kept.blob_id)
    await blobs.discard(place.scope, kept.blob_id)
    assert await _there(pool, place) == {kept.blob_id}


async def test_blobs_go_with_their_session(blobs: Blobs, pool: Pool, place: ResultPlace) -> None:
    stored = await blobs.write(place, LARGE, "", "result")
    await pool.execute("DELETE FROM sessions WHERE id = $1", place.scope.session_id)
    assert await pool.fetchval("SELECT count(*) FROM blob_chunks WHERE blob_id = $1", stored.blob_id) == 0


async def _there(pool: Pool, place: ResultPlace) -> set[BlobId]:
    rows = await pool.fetch("SELECT id FROM blobs WHERE session_id = $1", place.scope.session_id)
    return {BlobId(row["id"]) for row in rows}


async def _run(pool: Pool, place: ResultPlace, *, is_open: bool) -> None:
    scope = place.scope
    await pool.execute(
        "INSERT INTO runs (id, org_id, project_id, session_id, shard, status, is_open, detail)"
        " VALUES ($1, $2, $3, $4, 0, 'executing', $5, '')",
        place.run_id,
        scope.org_id,
        scope.project_id,
        scope.session_id,
        is_open,
    )
