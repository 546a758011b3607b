"""The file of an export: a ZIP of JSON, written from front to back and taken away piece by piece.

Nothing of it is kept: what was written since the last `take` is all that is in memory, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO

import orjson

from models.base import JsonObject, JsonValue

_LEVEL = 6


class _Pipe:
    """Takes what is written. It cannot seek, so the ZIP's lengths stand behind its entries (APPNOTE 4.3.9)."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        """Nothing is behind it."""

    def close(self) -> None:
        """What waits can still be taken."""


class Archive:
    """`at`: the time that its entries carry."""

    def __init__(self, at: datetime) -> None:
        self._pipe = _Pipe()
        self._at = at.timetuple()[:6]
        self._zip = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self.files: dict[str, JsonValue] = {}

    @property
    def waiting(self) -> int:
        """Bytes that nobody has taken yet."""
        return len(self._pipe.waiting)

    def take(self, most: int) -> bytes:
        """The next bytes of the file, at most so many."""
        taken = bytes(self._pipe.waiting[:most])
        del self._pipe.waiting[:most]
        return taken

    @contextmanager
    def array(self, name: str) -> Iterator[Callable[[JsonValue], None]]:
        """An entry that is a JSON array; its items are given one by one. One entry is open at a time."""
        count = 0
        with self._entry(name) as write:

            def add(item: JsonValue) -> None:
                nonlocal count
                write(b",\n" if count else b"[\n")
                write(orjson.dumps(item))
                count += 1

            yield add
            write(b"\n]\n" if count else b"[]\n")
        self._described(name)["items"] = count

    @contextmanager
    def binary(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """An entry that is somebody's bytes as they were."""
        with self._entry(name) as write:
            yield write

    def document(self, name: str, value: JsonObject) -> None:
        """An entry that is one JSON object."""
        with self._entry(name) as write:
            write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")

    def close(self) -> None:
        """The directory of the ZIP; nothing can be added after it."""
        self._zip.close()

    def _described(self, name: str) -> dict[str, JsonValue]:
        described = self.files[name]
        assert isinstance(described, dict)
        return described

    @contextmanager
    def _entry(self, name: str) -> Iterator[Callable[[bytes], None]]:
        info = zipfile.ZipInfo(name, self._at)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        digest, size = hashlib.sha256(), 0
        file: IO[bytes]
        with self._zip.open(info, "w", force_zip64=True) as file:

            def write(data: bytes) -> None:
                nonlocal size
                size += len(data)
                digest.update(data)
                file.write(data)

            yield write
        self.files[name] = {"bytes": size, "sha256": digest.hexdigest()}
