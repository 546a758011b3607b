"""Data keys under another key-encryption key, and shredding that holds against a whole dump."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from planvault.crypto.kek import KeyPlace, LocalKeyWrapper, WrappedKey
from planvault.crypto.keyset import Keyset
from planvault.crypto.providers import KeyProviders
from planvault.errors import DecryptionFailed, Unavailable
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool
from planvault.storage.rewrap import Rewrap
from planvault.storage.rotation import Rotations
from planvault.storage.rotation_steps import RotationSteps
from planvault.storage.tenancy import within
from tests.integration.storage.key_room import IDS, WRAPPER, KeyRoom

pytestmark = pytest.mark.postgres


class Elsewhere(LocalKeyWrapper):
    """Another provider, with a key of its own."""

    name = "aws-kms"


OTHER = Elsewhere(Keyset("arn:1", {"arn:1": bytes(reversed(range(32)))}))
BOTH = KeyProviders({"local": WRAPPER, "aws-kms": OTHER}, "local")
NEW_ONLY = KeyProviders({"aws-kms": OTHER}, "aws-kms")


@pytest.fixture
async def rooms(pool: Pool) -> AsyncIterator[list[KeyRoom]]:
    made = [await KeyRoom.open(pool, f"Org {number}") for number in range(3)]
    for room in made:
        await room.fill()
    yield made
    await pool.execute("DELETE FROM organizations")


def with_only(providers: KeyProviders, pool: Pool) -> PostgresKeyring:
    return PostgresKeyring(pool, providers, IDS)


async def test_everything_opens_after_a_move_by_the_new_provider_alone(rooms: list[KeyRoom]) -> None:
    before = [await room.values() for room in rooms]
    done = await Rewrap(rooms[0].pool, BOTH).to("aws-kms")
    assert (done.organizations, done.failed, done.left) == (3, {}, ())
    after = [await room.values(with_only(NEW_ONLY, room.pool)) for room in rooms]
    assert after == before
    with pytest.raises(Unavailable, match="aws-kms"):
        await with_only(KeyProviders.only(WRAPPER), rooms[0].pool).cipher(rooms[0].org)
    again = await Rewrap(rooms[0].pool, BOTH).to("aws-kms")
    assert again.organizations == 0


async def test_killed_anywhere_it_goes_on_and_says_what_remains(rooms: list[KeyRoom]) -> None:
    before = [await room.values() for room in rooms]

    class Dying(Elsewhere):
        left = 3  # data keys: in the middle of the second organisation

        async def wrap(self, key: bytes, place: KeyPlace) -> WrappedKey:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return await super().wrap(key, place)

    dying = KeyProviders({"local": WRAPPER, "aws-kms": Dying(Keyset("arn:1", OTHER_KEYS))}, "local")
    with pytest.raises(KeyboardInterrupt):
        await Rewrap(rooms[0].pool, dying).to("aws-kms")
    left = {(one.provider, one.organizations) for one in await Rewrap(rooms[0].pool, BOTH).wrapped()}
    assert left == {("aws-kms", 1), ("local", 2)}
    assert [await room.values(with_only(BOTH, room.pool)) for room in rooms] == before, "either provider is right"
    assert (await Rewrap(rooms[0].pool, BOTH).to("aws-kms")).organizations == 2
    assert [await room.values(with_only(NEW_ONLY, room.pool)) for room in rooms] == before


OTHER_KEYS = {"arn:1": bytes(reversed(range(32)))}


async def test_an_organisation_whose_keys_do_not_unwrap_stays_and_is_named(rooms: list[KeyRoom]) -> None:
    victim = rooms[1]
    await victim.pool.execute(
        "UPDATE data_keys SET wrapped_by = 'lost' WHERE org_id = $1 AND purpose = 'org'", victim.org
    )
    done = await Rewrap(victim.pool, BOTH).to("aws-kms")
    assert done.organizations == 2
    assert list(done.failed) == [victim.org]
    assert {one.organizations for one in done.left} == {1}


async def test_a_rotation_beside_it_leaves_no_key_that_the_named_provider_does_not_open(rooms: list[KeyRoom]) -> None:
    room = rooms[0]
    before = await room.content()
    async with within(room.pool, room.scope) as connection:
        await Rotations(room.pool, IDS).begin(connection, room.scope)
    worker = RotationSteps(room.pool, BOTH, IDS, spread_s=0, rest=0)

    async def rotate() -> None:
        for _ in range(40):
            await worker.once()

    async def move() -> None:
        for provider in ("aws-kms", "local", "aws-kms"):
            await Rewrap(room.pool, BOTH).to(provider)

    await asyncio.gather(rotate(), move())
    await room.pool.execute("UPDATE key_rotations SET leased_until = NULL")
    await rotate()
    await Rewrap(room.pool, BOTH).to("aws-kms")
    assert await room_content(room, with_only(NEW_ONLY, room.pool)) == before


async def room_content(room: KeyRoom, ring: PostgresKeyring) -> dict[str, list[bytes]]:
    return {name: found for name, found in (await room.values(ring)).items() if name != "data_keys.wrapped"}


async def test_a_whole_dump_ends_with_the_key_that_wrapped_its_keys(rooms: list[KeyRoom]) -> None:
    """A dump with its key table opens for whoever holds the KEK of its time: that is what backups are for. After a move
    to a new KEK and the end of the old one it opens no more, while the living organisations work on."""
    room = rooms[0]
    dump = await room.pool.fetch(
        "SELECT id, purpose, version, wrapped, wrapped_by FROM data_keys WHERE org_id = $1", room.org
    )
    own = [row for row in dump if row["purpose"] != "user"]
    for row in own:
        place = KeyPlace(room.org, row["purpose"], row["id"], row["version"])
        await WRAPPER.unwrap(WrappedKey(row["wrapped"], row["wrapped_by"]), place)  # the limit that the docs name
    await Rewrap(room.pool, BOTH).to("aws-kms")
    for row in own:
        place = KeyPlace(room.org, row["purpose"], row["id"], row["version"])
        with pytest.raises(DecryptionFailed):
            await OTHER.unwrap(WrappedKey(row["wrapped"], row["wrapped_by"]), place)
    assert await rooms[1].values(with_only(NEW_ONLY, room.pool))
