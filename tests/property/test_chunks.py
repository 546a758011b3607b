"""Chunks of a large value open in their order and to their end, or not at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import OrgId
from planvault.crypto.chunks import chunk_seal, open_chunks
from planvault.crypto.envelope import DataKey, EnvelopeCipher
from planvault.errors import DecryptionFailed

KEY = DataKey(UUID(int=1), 1, bytes(range(32)))
CIPHER = EnvelopeCipher(OrgId(UUID(int=2)), {KEY.id: KEY}, KEY.id)
SUBKEY = "session:s"

parts = st.lists(st.binary(max_size=40), min_size=1, max_size=6)


def sealed(value: str, plain: list[bytes]) -> list[bytes]:
    last = len(plain) - 1
    return [
        CIPHER.seal(part, chunk_seal(SUBKEY, value, position, last=position == last))
        for position, part in enumerate(plain)
    ]


def opened(value: str, chunks: list[bytes]) -> list[bytes]:
    return list(open_chunks(CIPHER, SUBKEY, value, chunks, start=0, count=len(chunks)))


@given(parts)
def test_what_was_sealed_opens_again(plain: list[bytes]) -> None:
    assert opened("a", sealed("a", plain)) == plain


@given(parts, st.data())
def test_chunks_cut_off_left_out_repeated_or_reordered_do_not_open(plain: list[bytes], data: Any) -> None:
    chunks = sealed("a", plain)
    count = len(chunks)
    at = data.draw(st.integers(0, count - 1))
    changed = data.draw(
        st.sampled_from(
            [
                chunks[:at] + chunks[at + 1 :],
                [*chunks[: at + 1], *chunks[at:]],
                [*chunks, chunks[-1]],
                [chunks[(position + 1) % count] for position in range(count)] if count > 1 else [],
            ]
        )
    )
    if not changed:
        return
    with pytest.raises(DecryptionFailed):
        opened("a", changed)


@given(parts, parts)
def test_a_chunk_of_another_value_does_not_open(plain: list[bytes], other: list[bytes]) -> None:
    with pytest.raises(DecryptionFailed):
        opened("a", [*sealed("a", plain)[:-1], sealed("b", other)[-1]])


@given(parts, st.data())
def test_a_changed_bit_does_not_open(plain: list[bytes], data: Any) -> None:
    chunks = sealed("a", plain)
    at = data.draw(st.integers(0, len(chunks) - 1))
    bit = data.draw(st.integers(0, len(chunks[at]) * 8 - 1))
    broken = bytearray(chunks[at])
    broken[bit // 8] ^= 1 << bit % 8
    chunks[at] = bytes(broken)
    with pytest.raises(DecryptionFailed):
        opened("a", chunks)
