"""Deletion of organisations: marked, restored, purged, and shredded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from models.policies import OrgSettings, RetentionSettings
from models.rotations import RotationState
from planvault.crypto.envelope import DataKey, EnvelopeCipher, read_header
from planvault.errors import Conflict, DecryptionFailed, NotFound
from planvault.storage.commands import Commands
from planvault.storage.files.folder import EventFolder
from planvault.storage.history import event_seal
from planvault.storage.job_dispatch import JobDispatch
from planvault.storage.keys import PostgresKeyring
from planvault.storage.org_deletion import OrganizationDeletions, OrganizationPurge
from planvault.storage.pool import Pool, Role, open_pool
from planvault.storage.rewrap import Rewrap
from planvault.storage.rotation import Rotations
from planvault.storage.rotation_steps import RotationSteps
from planvault.storage.sealed import COLUMNS, Owner
from planvault.storage.tenancy import within
from planvault.storage.tenants import Tenants
from tests.integration.storage.key_room import IDS, PROVIDERS, KeyRoom, keyring

pytestmark = pytest.mark.postgres
AT_ONCE = timedelta()


@pytest.fixture
async def room(pool: Pool) -> AsyncIterator[KeyRoom]:
    opened = await KeyRoom.open(pool)
    await opened.fill()
    yield opened
    await pool.execute("DELETE FROM organizations")


def deletions(room: KeyRoom) -> OrganizationDeletions:
    return OrganizationDeletions(room.pool, Commands(room.pool, room.ring, IDS))


async def is_due(room: KeyRoom) -> None:
    await room.pool.execute("UPDATE organizations SET purge_after = now() WHERE id = $1", room.org)


async def tables_that_name(pool: Pool, org: object) -> set[str]:
    tables = await pool.fetch(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'org_id'"
        " AND table_schema = current_schema()"
    )
    return {
        row["table_name"]
        for row in tables
        if await pool.fetchval(f'SELECT EXISTS (SELECT FROM "{row["table_name"]}" WHERE org_id = $1)', org)
    }


async def test_a_deleted_organisation_is_there_for_nobody_and_its_jobs_are_not_due(room: KeyRoom) -> None:
    deletion = await deletions(room).delete(room.scope, "operator ada")
    assert deletion.requested_by == "operator ada"
    assert deletion.purge_after - deletion.requested_at == timedelta(days=7)
    assert not await room.pool.fetchval("SELECT organization_is_live($1)", room.org)
    with pytest.raises(NotFound):
        await Tenants(room.pool, IDS).organization(room.scope)
    async with room.pool.acquire() as connection, connection.transaction():
        assert await JobDispatch(room.ring).claim(connection, 10) == []
    with pytest.raises(NotFound):
        await deletions(room).delete(room.scope, "again")


async def test_open_runs_are_told_to_stop(room: KeyRoom) -> None:
    session = room.sessions[1]
    await room.pool.execute(
        "UPDATE runs SET is_open = true, status = 'executing' WHERE session_id = $1", session.session_id
    )
    await deletions(room).delete(room.scope, "operator ada")
    kinds = await room.pool.fetch(
        "SELECT session_id FROM commands WHERE kind = 'cancel' AND org_id = $1 AND consumed_at IS NULL", room.org
    )
    assert [row["session_id"] for row in kinds] == [session.session_id]


async def test_within_a_week_it_is_restored_with_everything(room: KeyRoom) -> None:
    before = await room.values()
    await deletions(room).delete(room.scope, "ada")
    assert not await OrganizationPurge(room.pool).once(), "its time has not come"
    await deletions(room).restore(room.scope)
    assert await room.values() == before
    assert (await Tenants(room.pool, IDS).organization(room.scope)).id == room.org
    with pytest.raises(Conflict):
        await deletions(room).restore(room.scope)
    await deletions(room).delete(room.scope, "ada")  # and deleted again


async def test_after_its_time_nothing_is_left_but_the_evidence(room: KeyRoom) -> None:
    neighbour = await KeyRoom.open(room.pool, "Neighbour")
    await neighbour.fill()
    theirs = await neighbour.values()
    await deletions(room).delete(room.scope, "ada")
    await is_due(room)
    assert await OrganizationPurge(room.pool, rest=0, settled_after=AT_ONCE).once()
    assert await tables_that_name(room.pool, room.org) <= {
        "organization_deletions",
        "audit_log",
        "audit_heads",
        "audit_signing_keys",
        "erased_sessions",  # ids, for 30 days: no late append is accepted
    }
    evidence = await deletions(room).find(room.scope)
    assert evidence.purged_at is not None
    assert evidence.keys_destroyed == 3, "org, hmac and ada's"
    assert evidence.gone["sessions"] == 2
    with pytest.raises(Conflict):
        await deletions(room).restore(room.scope)
    assert await neighbour.values() == theirs


async def test_the_last_of_it_waits_until_no_process_can_still_hold_a_key_and_no_late_append_gets_in(
    room: KeyRoom,
) -> None:
    """An organisation that goes at once: its hosts were at work a moment ago, and hold its keys for a while."""
    session = room.sessions[0]
    cipher = await room.ring.session_cipher(session)
    await deletions(room).delete(room.scope, "ada", days=0)
    purge = OrganizationPurge(room.pool, rest=0)
    assert await purge.once()
    assert not await purge.once(), "it waits, and others' turn comes first"
    evidence = await deletions(room).find(room.scope)
    assert (evidence.keys_destroyed, evidence.purged_at) == (3, None)
    append = (
        "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, at, payload)"
        " VALUES ($1, 99, $2, 0, 1, 'prompt', 'history', 1, now(), $3)"
    )
    late = (session.session_id, room.org, cipher.seal(b"late", event_seal(session.session_id, 99)))
    with pytest.raises(asyncpg.PostgresError):
        await room.pool.execute(append, *late)
    assert await OrganizationPurge(room.pool, rest=0, settled_after=AT_ONCE).once()
    with pytest.raises(asyncpg.PostgresError, match="erased"):  # its key is unknown by now: the fence is what holds
        await room.pool.execute(append, *late)
    assert (await deletions(room).find(room.scope)).purged_at is not None


async def test_the_audit_log_outlives_the_organisation_for_as_long_as_it_had_it_kept(room: KeyRoom) -> None:
    settings = OrgSettings(retention=RetentionSettings(audit_days=30))
    await Tenants(room.pool, IDS).change_organization(room.scope, lambda _: settings)
    await deletions(room).delete(room.scope, "ada", days=0)
    purge = OrganizationPurge(room.pool, rest=0, settled_after=AT_ONCE)
    assert await purge.once()
    evidence = await deletions(room).find(room.scope)
    assert evidence.purge_began_at is not None
    assert evidence.audit_until is not None
    assert evidence.audit_until - evidence.purge_began_at == timedelta(days=30)
    assert not await purge.once()
    assert "audit_log" in await tables_that_name(room.pool, room.org)
    await room.pool.execute("UPDATE organization_deletions SET audit_until = now() WHERE org_id = $1", room.org)
    assert await purge.once()
    assert await tables_that_name(room.pool, room.org) == {"organization_deletions", "erased_sessions"}
    evidence = await deletions(room).find(room.scope)
    assert evidence.audit_forgotten_at is not None
    assert evidence.gone["audit_log"] >= 1
    assert not await purge.once(), "once"


async def test_one_organisation_cannot_end_another(room: KeyRoom, database_url: str) -> None:
    neighbour = await KeyRoom.open(room.pool, "Neighbour")
    async with await open_pool(database_url, name="tenant", role=Role.TENANT) as tenant:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with within(tenant, neighbour.scope) as connection:
                await connection.fetch("SELECT organization_ends($1, 0, 'x')", room.org)
        deleting = OrganizationDeletions(tenant, Commands(tenant, PostgresKeyring(tenant, PROVIDERS, IDS), IDS))
        await deleting.delete(neighbour.scope, "its owner")
    assert not await room.pool.fetchval("SELECT organization_is_live($1)", neighbour.org)
    assert await room.pool.fetchval("SELECT organization_is_live($1)", room.org)


async def test_a_purge_killed_after_the_keys_goes_on_and_can_not_be_undone(room: KeyRoom) -> None:
    await deletions(room).delete(room.scope, "ada")
    await is_due(room)

    class Killed(Exception):
        pass

    class Dying(OrganizationPurge):
        async def _rows(self, scope: object) -> bool:
            raise Killed

    with pytest.raises(Killed):
        await Dying(room.pool).once()
    assert set(await room.statuses()) == {("org", "destroyed"), ("hmac", "destroyed"), ("user", "destroyed")}
    with pytest.raises(Conflict):
        await deletions(room).restore(room.scope)
    assert await OrganizationPurge(room.pool, rest=0, settled_after=AT_ONCE).once()
    assert await room.pool.fetchval("SELECT count(*) FROM events WHERE org_id = $1", room.org) == 0


async def test_a_dump_from_before_opens_with_nothing_that_the_product_still_holds(room: KeyRoom) -> None:
    """Every ciphertext of the organisation is kept aside, as a stolen dump without its key table would; then all that
    is left after the purge is tried on each of them: every key of the database, of every organisation, and what a
    process that had the keys in memory has after it looked again."""
    neighbour = await KeyRoom.open(room.pool, "Neighbour")
    await neighbour.fill()
    dump = []
    for column in COLUMNS:
        async with within(room.pool, room.scope) as connection:
            rows = await connection.fetch(column.page, room.org, None, [], 10_000)
        dump += [(column, row) for row in rows if row["sealed"]]
    assert {column.name for column, _ in dump} == {column.name for column in COLUMNS}
    await deletions(room).delete(room.scope, "ada")
    await is_due(room)
    await OrganizationPurge(room.pool, rest=0, settled_after=AT_ONCE).once()
    room.ring.forget(room.org)
    for ring in (room.ring, keyring(room.pool)):
        with pytest.raises(NotFound):
            await ring.cipher(room.org)
    held = await keyring(room.pool).tenant(neighbour.org)
    left = {key.id for key in held.keys.values()}
    for column, row in dump:
        assert read_header(row["sealed"]).key_id not in left
        subject = None if column.owner is Owner.ORGANISATION else row["subject"]
        theirs = await neighbour.ring.subject_cipher(neighbour.org, subject)
        for place in column.places(row):
            with pytest.raises(DecryptionFailed):
                theirs.open(row["sealed"], place)
            named = read_header(row["sealed"])
            for key in held.keys.values():  # the right organisation, key id and place, any material that is left
                forged = {named.key_id: DataKey(named.key_id, named.version, key.material)}
                with pytest.raises(DecryptionFailed):
                    EnvelopeCipher(room.org, forged, named.key_id).open(row["sealed"], place)


async def test_event_files_go_with_it_those_that_never_came_to_count_too(room: KeyRoom, tmp_path: Path) -> None:
    neighbour = await KeyRoom.open(room.pool, "Neighbour")
    folder = EventFolder(tmp_path / "events")
    rows = await room.pool.fetch("SELECT id, shard FROM sessions")
    paths = {row["id"]: folder.segment(row["shard"], row["id"], 1, 0) for row in rows}
    for path in paths.values():
        folder.write(path, b"sealed, and of no row")
    await deletions(room).delete(room.scope, "ada")
    await is_due(room)
    assert await OrganizationPurge(room.pool, folder, rest=0).once()
    left = {row_id for row_id, path in paths.items() if path.parent.exists()}
    assert left == {session.session_id for session in neighbour.sessions}


async def test_the_platforms_own_role_may_do_all_of_it(room: KeyRoom, database_url: str) -> None:
    async with await open_pool(database_url, name="platform", role=Role.PLATFORM) as platform:
        async with within(room.pool, room.scope) as connection:
            await Rotations(room.pool, IDS).begin(connection, room.scope)
        worker = RotationSteps(platform, PROVIDERS, IDS, spread_s=0, rest=0)
        for _ in range(20):
            await worker.once()
        newest = await Rotations(room.pool, IDS).newest(room.scope)
        assert newest is not None
        assert (newest.state, newest.error) == (RotationState.COMPLETED, None)
        assert (await Rewrap(platform, PROVIDERS).to("local")).left == ()
        deleting = OrganizationDeletions(platform, Commands(platform, PostgresKeyring(platform, PROVIDERS, IDS), IDS))
        await deleting.delete(room.scope, "ada")
        await is_due(room)
        assert await OrganizationPurge(platform, rest=0, settled_after=AT_ONCE).once()
        assert (await deleting.find(room.scope)).purged_at is not None
