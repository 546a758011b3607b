"""The keyring over real rows."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest

from models.ids import OrgId
from models.tenants import OrgScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.envelope import read_header
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.keyring import DataKeyRow, TenantKeyring
from planvault.crypto.keyset import Keyset
from planvault.errors import DecryptionFailed, NotFound
from planvault.ports import Keyring, Seal
from planvault.storage.keys import PostgresDataKeys, PostgresKeyring, shred_user
from planvault.storage.pool import Pool
from planvault.storage.tenancy import within
from planvault.storage.tenants import Tenants
from tests.integration.storage.key_room import KeyRoom

pytestmark = pytest.mark.postgres
WRAPPER = LocalKeyWrapper(Keyset("kek-1", {"kek-1": bytes(range(32))}))
PLACE = Seal("table:t", "t", "1", "c")


async def new_org(pool: Pool) -> OrgId:
    return (await Tenants(pool, TimeOrderedIds()).create_organization("Acme")).id


def keyring(pool: Pool) -> PostgresKeyring:
    return PostgresKeyring(pool, WRAPPER, TimeOrderedIds())


class MeetingRows(PostgresDataKeys):
    """Lets every process see that there is no key before any of them makes one."""

    def __init__(self, pool: Pool, meeting: asyncio.Barrier) -> None:
        super().__init__(pool)
        self._meeting = meeting

    async def add(self, rows: Sequence[DataKeyRow], provider: str | None = None) -> None:
        await self._meeting.wait()
        await super().add(rows, provider)


async def test_processes_that_make_the_first_key_at_once_share_one(pool: Pool) -> None:
    org_id, meeting = await new_org(pool), asyncio.Barrier(3)
    rings = [TenantKeyring(MeetingRows(pool, meeting), WRAPPER, TimeOrderedIds()) for _ in range(3)]
    ciphers = await asyncio.gather(*(ring.cipher(org_id) for ring in rings))
    for one in ciphers:
        for other in ciphers:
            assert other.open(one.seal(b"x", PLACE), PLACE) == b"x"
    rows = await pool.fetch("SELECT purpose, version FROM data_keys WHERE org_id = $1 ORDER BY purpose", org_id)
    assert [tuple(row) for row in rows] == [("hmac", 1), ("org", 1)]


async def test_a_later_process_opens_what_an_earlier_one_sealed(pool: Pool) -> None:
    org_id = await new_org(pool)
    first, later = keyring(pool), keyring(pool)
    envelope = (await first.cipher(org_id)).seal(b"kept", PLACE)
    assert (await later.cipher(org_id)).open(envelope, PLACE) == b"kept"
    assert await first.pseudonym(org_id, "u") == await later.pseudonym(org_id, "u")


async def test_no_key_material_lies_in_the_database_unwrapped(pool: Pool) -> None:
    org_id = await new_org(pool)
    ring: Keyring = keyring(pool)
    await ring.cipher(org_id)
    for row in await pool.fetch("SELECT wrapped, wrapped_by FROM data_keys WHERE org_id = $1", org_id):
        assert row["wrapped_by"] == "kek-1"
        assert len(row["wrapped"]) == 1 + 12 + 32 + 32 + 16  # format, nonce, commitment, key, tag


async def test_a_wrapped_key_copied_to_another_organisation_does_not_unwrap(pool: Pool) -> None:
    victim, thief = await new_org(pool), await new_org(pool)
    await keyring(pool).cipher(victim)
    await keyring(pool).cipher(thief)
    await pool.execute(
        "UPDATE data_keys AS mine SET wrapped = theirs.wrapped FROM data_keys AS theirs"
        " WHERE mine.org_id = $1 AND theirs.org_id = $2 AND mine.purpose = theirs.purpose",
        thief,
        victim,
    )
    with pytest.raises(DecryptionFailed):
        await keyring(pool).cipher(thief)


async def test_a_keyset_of_another_installation_says_what_is_missing(pool: Pool) -> None:
    org_id = await new_org(pool)
    await keyring(pool).cipher(org_id)
    stranger = LocalKeyWrapper(Keyset("kek-2", {"kek-2": bytes(32)}))
    with pytest.raises(DecryptionFailed, match="kek-1"):
        await PostgresKeyring(pool, stranger, TimeOrderedIds()).cipher(org_id)


async def test_an_unknown_organisation_is_not_found(pool: Pool) -> None:
    with pytest.raises(NotFound):
        await keyring(pool).cipher(OrgId(UUID(int=4)))


async def test_deleting_an_organisation_takes_its_keys_with_it(pool: Pool) -> None:
    org_id = await new_org(pool)
    await keyring(pool).cipher(org_id)
    await pool.execute("DELETE FROM organizations WHERE id = $1", org_id)
    assert not await pool.fetchval("SELECT count(*) FROM data_keys WHERE org_id = $1", org_id)
    with pytest.raises(NotFound):
        await Tenants(pool, TimeOrderedIds()).organization(OrgScope(org_id=org_id))


async def test_the_database_itself_keeps_a_second_key_of_one_version_out(pool: Pool) -> None:
    org_id = await new_org(pool)
    await keyring(pool).cipher(org_id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(
            "INSERT INTO data_keys (id, org_id, purpose, version, wrapped, wrapped_by)"
            " VALUES ($1, $2, 'org', 1, '', 'x')",
            TimeOrderedIds().new(),
            org_id,
        )


async def test_a_session_s_owner_is_known_within_its_organisation_only(pool: Pool) -> None:
    room, other = await KeyRoom.open(pool), await KeyRoom.open(pool, "Other")
    await room.ring.session_cipher(room.sessions[1])
    foreign = SessionScope(
        org_id=other.org, project_id=other.project.project_id, session_id=room.sessions[1].session_id
    )
    await room.ring.session_cipher(foreign)
    keys = "SELECT count(*) FROM data_keys WHERE org_id = $1 AND subject = $2"
    assert await pool.fetchval(keys, other.org, room.ada) == 0


async def test_a_person_s_destroyed_key_is_out_of_a_process_s_memory_after_five_seconds(pool: Pool) -> None:
    room, at = await KeyRoom.open(pool), [0.0]
    ring = PostgresKeyring(pool, WRAPPER, TimeOrderedIds(), elapsed=lambda: at[0])
    sealed = (await ring.session_cipher(room.sessions[1])).seal(b"theirs", PLACE)
    async with within(pool, room.scope) as connection:
        assert await shred_user(connection, room.scope, room.ada) == 1
    at[0] = 5.0
    cipher = await ring.session_cipher(room.sessions[1])
    with pytest.raises(DecryptionFailed):
        cipher.open(sealed, PLACE)
    assert read_header(cipher.seal(b"new", PLACE)).key_id != read_header(sealed).key_id
