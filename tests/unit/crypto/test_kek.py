from dataclasses import replace
from uuid import UUID

import pytest

from models.ids import OrgId
from planvault.crypto.kek import KeyPlace, LocalKeyWrapper, WrappedKey
from planvault.crypto.keyset import Keyset
from planvault.errors import DecryptionFailed

ORG = OrgId(UUID("0198a000-0000-7000-8000-0000000000aa"))
PLACE = KeyPlace(ORG, "org", UUID("0198a000-0000-7000-8000-000000000001"), 1)
OLD, NEW = bytes(range(32, 64)), bytes(range(64, 96))
DEK = bytes(range(32))

# Never change this: wrapped keys of this format are stored.
GOLDEN = bytes.fromhex(
    "016465666768696a6b6c6d6e6f5ea64ae6b25093bb8e7d34891dd654d2c4086c8d25b9f8a5832b5d596020376de77e45ff79342891948219ea"
    "96a4c76bf6b4bc70f200044351d9fa5c38cf68cfad8cac944aec35a12f779137c037c96f"
)


def wrapper(primary: str = "local-1", **keys: bytes) -> LocalKeyWrapper:
    named = {name.replace("_", "-"): key for name, key in keys.items()} or {"local-1": OLD}
    return LocalKeyWrapper(Keyset(primary, named))


async def test_the_golden_wrapped_key_unwraps_in_every_build() -> None:
    assert await wrapper().unwrap(WrappedKey(GOLDEN, "local-1"), PLACE) == DEK


async def test_the_primary_wraps_and_every_key_of_the_set_unwraps() -> None:
    wrapped_before = await wrapper().wrap(DEK, PLACE)
    after = wrapper("local-2", local_1=OLD, local_2=NEW)
    assert await after.unwrap(wrapped_before, PLACE) == DEK
    assert (await after.wrap(DEK, PLACE)).wrapped_by == "local-2"


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, org_id=OrgId(UUID(int=1))),
        replace(PLACE, purpose="hmac"),
        replace(PLACE, key_id=UUID(int=2)),
        replace(PLACE, version=2),
    ],
)
async def test_a_wrapped_key_unwraps_only_as_what_it_is(elsewhere: KeyPlace) -> None:
    wrapped = await wrapper().wrap(DEK, PLACE)
    with pytest.raises(DecryptionFailed):
        await wrapper().unwrap(wrapped, elsewhere)


async def test_a_keyset_without_the_wrapping_key_says_which_one_is_missing() -> None:
    wrapped = await wrapper().wrap(DEK, PLACE)
    with pytest.raises(DecryptionFailed, match="local-1"):
        await wrapper("local-2", local_2=NEW).unwrap(wrapped, PLACE)


async def test_a_changed_or_unknown_blob_does_not_unwrap() -> None:
    for at in range(len(GOLDEN)):
        changed = bytearray(GOLDEN)
        changed[at] ^= 0x80
        with pytest.raises(DecryptionFailed):
            await wrapper().unwrap(WrappedKey(bytes(changed), "local-1"), PLACE)
