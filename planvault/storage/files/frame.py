"""How one event lies in a segment: a plain header that can be skipped through, then the sealed payload.

    length u32 · crc32 u32 · seq u64 · microseconds since 1970 i64 · schema u16 · flags u8 · type length u8
    · run id 16 bytes · type · payload

Big endian. `length` counts everything behind the CRC; the CRC-32 covers it. Flag 1: history, flag 2: there is a run id.
The payload is the envelope that the database would hold (docs/encryption.md), bound to the session and the seq.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zlib import crc32

from models.events import EventType, Visibility
from models.ids import RunId
from planvault.errors import RecordDamaged

_HEADER = struct.Struct(">IIQqHBB16s")
_PREFIX = 8  # length and CRC
_HISTORY, _HAS_RUN = 1, 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Frame:
    seq: int
    type: EventType
    visibility: Visibility
    schema_version: int
    run_id: RunId | None
    at: datetime
    payload: bytes  # sealed


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame lies in its segment, and what can be known without opening it."""

    offset: int
    size: int
    seq: int
    is_history: bool
    is_snapshot: bool


def encode(frame: Frame) -> bytes:
    """The frame's bytes. `at` is kept to the microsecond, in UTC."""
    name = frame.type.value.encode()
    flags = (_HISTORY if frame.visibility is Visibility.HISTORY else 0) | (_HAS_RUN if frame.run_id else 0)
    run = frame.run_id.bytes if frame.run_id else bytes(16)
    length = _HEADER.size - _PREFIX + len(name) + len(frame.payload)
    micros = (frame.at - _EPOCH) // _MICROSECOND
    head = _HEADER.pack(length, 0, frame.seq, micros, frame.schema_version, flags, len(name), run)
    rest = head[_PREFIX:] + name + frame.payload
    return struct.pack(">II", length, crc32(rest)) + rest


def decode(data: bytes | memoryview, offset: int = 0) -> Frame:
    """The frame at `offset`. Raises RecordDamaged where its bytes are not what was written."""
    view = memoryview(data)
    end = _end(view, offset)
    _, checksum, seq, micros, schema, flags, name_size, run = _HEADER.unpack_from(view, offset)
    if crc32(view[offset + _PREFIX : end]) != checksum:
        raise RecordDamaged(f"The event at byte {offset} does not match its checksum.")
    text = bytes(view[offset + _HEADER.size : offset + _HEADER.size + name_size]).decode()
    return Frame(
        seq=seq,
        type=EventType(text),
        visibility=Visibility.HISTORY if flags & _HISTORY else Visibility.ENGINE,
        schema_version=schema,
        run_id=RunId(UUID(bytes=run)) if flags & _HAS_RUN else None,
        at=_EPOCH + micros * _MICROSECOND,
        payload=bytes(view[offset + _HEADER.size + name_size : end]),
    )


def places(data: bytes | memoryview, start: int = 0) -> Iterator[Place]:
    """Every frame of `data`, which begins at byte `start` of its segment; only headers are looked at.

    Raises RecordDamaged where the last one is cut: committed bytes hold whole frames.
    """
    view, offset = memoryview(data), 0
    while offset < len(view):
        end = _end(view, offset)
        _, _, seq, _, _, flags, name_size, _ = _HEADER.unpack_from(view, offset)
        name = bytes(view[offset + _HEADER.size : offset + _HEADER.size + name_size])
        is_snapshot = name == EventType.SNAPSHOT.value.encode()
        yield Place(start + offset, end - offset, seq, bool(flags & _HISTORY), is_snapshot)
        offset = end


def _end(view: memoryview, offset: int) -> int:
    if offset + _HEADER.size > len(view):
        raise RecordDamaged(f"The event at byte {offset} is cut: its header is not whole.")
    (length,) = struct.unpack_from(">I", view, offset)
    end = offset + _PREFIX + int(length)
    if length < _HEADER.size - _PREFIX or end > len(view):
        raise RecordDamaged(f"The event at byte {offset} is cut or overwritten: {length} bytes are announced.")
    return end
