"""Whatever is sealed opens, and nothing else does."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import OrgId
from planvault.crypto.envelope import ENVELOPE_OVERHEAD, DataKey, EnvelopeCipher
from planvault.errors import DecryptionFailed
from planvault.ports import Seal

ORG = OrgId(UUID(int=1))
KEY = DataKey(UUID(int=2), 1, bytes(range(32)))
CIPHER = EnvelopeCipher(ORG, {KEY.id: KEY}, KEY.id)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
seals = st.builds(Seal, texts, texts, texts, texts)


@given(st.binary(max_size=5_000), seals)
def test_what_was_sealed_opens_at_its_place(plaintext: bytes, place: Seal) -> None:
    envelope = CIPHER.seal(plaintext, place)
    assert len(envelope) == len(plaintext) + ENVELOPE_OVERHEAD
    assert CIPHER.open(envelope, place) == plaintext


@given(seals, seals)
def test_no_two_places_share_their_ciphertexts(place: Seal, other: Seal) -> None:
    envelope = CIPHER.seal(b"x", place)
    if place == other:
        assert CIPHER.open(envelope, other) == b"x"
    else:
        with pytest.raises(DecryptionFailed):
            CIPHER.open(envelope, other)


@given(st.binary(max_size=200), st.data())
def test_one_changed_bit_is_enough(plaintext: bytes, data: st.DataObject) -> None:
    place = Seal("s", "t", "r", "c")
    envelope = bytearray(CIPHER.seal(plaintext, place))
    bit = data.draw(st.integers(0, len(envelope) * 8 - 1))
    envelope[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(DecryptionFailed):
        CIPHER.open(bytes(envelope), place)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_open_and_never_break_the_reader(noise: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        CIPHER.open(noise, Seal("s", "t", "r", "c"))
