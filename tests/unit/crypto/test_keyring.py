import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from models.ids import OrgId
from planvault.clock import TimeOrderedIds
from planvault.crypto.envelope import DataKey, EnvelopeCipher, read_header
from planvault.crypto.kek import KeyPlace, LocalKeyWrapper, WrappedKey
from planvault.crypto.keyring import REFRESH_AFTER_S, DataKeyRow, TenantKeyring, TenantKeys
from planvault.crypto.keyset import Keyset
from planvault.errors import NotFound, Unavailable
from planvault.ports import Seal

ORG, OTHER = OrgId(UUID(int=1)), OrgId(UUID(int=2))
PLACE = Seal("table:t", "t", "1", "c")


class Rows:
    """In memory, with the database's rule: the first row of a (organisation, purpose, version) stays."""

    def __init__(self, dek_wrap: str = "local") -> None:
        self.dek_wrap = dek_wrap
        self.kept: dict[tuple[OrgId, str, int], DataKeyRow] = {}
        self.loads = 0

    async def load(self, org_id: OrgId) -> TenantKeys:
        self.loads += 1
        await asyncio.sleep(0)
        if org_id not in (ORG, OTHER):
            raise NotFound
        return TenantKeys(self.dek_wrap, [row for row in self.kept.values() if row.place.org_id == org_id])

    async def add(self, rows: Sequence[DataKeyRow], provider: str | None = None) -> None:
        for row in rows:
            await asyncio.sleep(0)
            self.kept.setdefault((row.place.org_id, row.place.purpose, row.place.version), row)


class CountingWrapper(LocalKeyWrapper):
    unwraps = 0

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        self.unwraps += 1
        return await super().unwrap(wrapped, place)


class Elapsed:
    at = 0.0

    def __call__(self) -> float:
        return self.at


WRAPPER_KEYS = Keyset("kek", {"kek": bytes(range(32))})


def keyring(rows: Rows, wrapper: LocalKeyWrapper | None = None, elapsed: Elapsed | None = None) -> TenantKeyring:
    return TenantKeyring(rows, wrapper or LocalKeyWrapper(WRAPPER_KEYS), TimeOrderedIds(), elapsed=elapsed or Elapsed())


async def test_two_processes_that_make_the_first_key_at_once_end_up_with_the_same() -> None:
    rows = Rows()
    one, other = keyring(rows), keyring(rows)
    mine, theirs = await asyncio.gather(one.cipher(ORG), other.cipher(ORG))
    assert theirs.open(mine.seal(b"x", PLACE), PLACE) == b"x"
    assert mine.open(theirs.seal(b"y", PLACE), PLACE) == b"y"
    assert await one.pseudonym(ORG, "u") == await other.pseudonym(ORG, "u")


async def test_tasks_that_ask_at_once_share_one_look_up() -> None:
    rows = Rows()
    await keyring(rows).cipher(ORG)
    rows.loads = 0
    fresh = keyring(rows)
    ciphers = await asyncio.gather(*(fresh.cipher(ORG) for _ in range(20)))
    assert rows.loads == 1
    assert all(cipher is ciphers[0] for cipher in ciphers)


async def test_a_refresh_finds_a_new_version_unwraps_only_it_and_updates_ciphers_in_use() -> None:
    rows, elapsed = Rows(), Elapsed()
    wrapper = CountingWrapper(WRAPPER_KEYS)
    ring = keyring(rows, wrapper, elapsed)
    held = await ring.cipher(ORG)
    old = held.seal(b"old", PLACE)

    place = KeyPlace(ORG, "org", UUID(int=77), 2)
    await rows.add([DataKeyRow(place, await wrapper.wrap(bytes(32), place))])
    await ring.cipher(ORG)
    assert read_header(held.seal(b"", PLACE)).version == 1  # still fresh enough

    before, elapsed.at = wrapper.unwraps, REFRESH_AFTER_S
    await ring.cipher(ORG)
    assert wrapper.unwraps - before == 1
    assert read_header(held.seal(b"new", PLACE)) == (place.key_id, 2)
    assert held.open(old, PLACE) == b"old"


async def test_a_pending_version_opens_but_does_not_write() -> None:
    rows, elapsed = Rows(), Elapsed()
    ring = keyring(rows, elapsed=elapsed)
    await ring.cipher(ORG)
    place = KeyPlace(ORG, "org", UUID(int=77), 2)
    row = DataKeyRow(place, await LocalKeyWrapper(WRAPPER_KEYS).wrap(bytes(32), place))
    await rows.add([replace(row, status="pending")])
    elapsed.at = REFRESH_AFTER_S
    cipher = await ring.cipher(ORG)
    written_elsewhere = EnvelopeCipher(ORG, {place.key_id: DataKey(place.key_id, 2, bytes(32))}, place.key_id)
    assert cipher.open(written_elsewhere.seal(b"x", PLACE), PLACE) == b"x"
    assert read_header(cipher.seal(b"", PLACE)).version == 1


async def test_keys_of_another_provider_are_refused_with_both_names() -> None:
    rows = Rows()
    await keyring(rows).cipher(ORG)
    rows.dek_wrap = "aws-kms"
    with pytest.raises(Unavailable, match=r"'aws-kms'.*local"):
        await keyring(rows).cipher(ORG)


async def test_an_unknown_organisation_is_not_found_and_makes_no_key() -> None:
    rows = Rows()
    with pytest.raises(NotFound):
        await keyring(rows).cipher(OrgId(UUID(int=9)))
    assert not rows.kept


async def test_an_organisation_whose_keys_are_all_retired_can_write_nothing() -> None:
    rows = Rows()
    await keyring(rows).cipher(ORG)
    rows.kept = {name: replace(row, status="retired") for name, row in rows.kept.items()}
    with pytest.raises(Unavailable, match="no active data key"):
        await keyring(rows).cipher(ORG)


async def test_a_pseudonym_is_stable_and_says_nothing_outside_its_organisation() -> None:
    ring = keyring(Rows())
    assert await ring.pseudonym(ORG, "alice") == await ring.pseudonym(ORG, "alice")
    assert await ring.pseudonym(ORG, "alice") != await ring.pseudonym(ORG, "bob")
    assert await ring.pseudonym(ORG, "alice") != await ring.pseudonym(OTHER, "alice")
    assert len(await ring.pseudonym(ORG, "alice")) == 32
