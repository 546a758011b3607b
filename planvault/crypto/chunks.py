"""Large values, sealed chunk by chunk (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár 2015).

Every chunk is an envelope of its own. The place it is bound to names the value, the chunk's position, and whether it is
the last: chunks that were reordered, left out, cut off at the end, repeated or taken from another value do not open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planvault.errors import DecryptionFailed
from planvault.ports import OrgCipher, Seal

CHUNK_BYTES = 256 * 1024  # of plaintext


def chunk_seal(subkey: str, value: str, position: int, *, last: bool) -> Seal:
    """Where one chunk of the value lives. `value` is a blob's id."""
    return Seal(subkey, "blob_chunks", f"{value}:{position}:{'last' if last else 'more'}", "payload")


def open_chunks(
    cipher: OrgCipher, subkey: str, value: str, sealed: Sequence[bytes], *, start: int, count: int
) -> Iterator[bytes]:
    """The plaintext of chunks from position `start` on, of a value that has `count`. Raises DecryptionFailed.

    A value is whole only when its chunk `count - 1` was opened.
    """
    if start + len(sealed) > count:
        raise DecryptionFailed("A stored value has more chunks than were written.")
    for position, envelope in enumerate(sealed, start):
        yield cipher.open(envelope, chunk_seal(subkey, value, position, last=position == count - 1))
