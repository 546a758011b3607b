"""Reading a response's body under a bound, compressed or not, a part at a time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

from planvault.errors import TooLarge

PART_BYTES = 64 * 1024  # the most that is inflated at once: a small bomb must hold neither the memory nor the loop
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # zlib looks at the header which of the two it is
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


async def read_bounded(response: httpx.Response, limit: int) -> bytes:
    """The whole body, at most `limit` bytes after decompression: a small bomb is as large as what it becomes.

    Raises TooLarge, httpx.DecodingError for a coding that we did not ask for or a damaged body, httpx.TransportError.
    """
    return b"".join([part async for part in parts_of(response, limit)])


async def parts_of(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, decompressed, at most `limit` bytes in all. Raises what `read_bounded` raises.

    What was given before an error is not a body: its end was not seen.
    """
    declared = response.headers.get("Content-Length", "")
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in _CODINGS | {"identity", ""}:
        raise httpx.DecodingError(f"The response is encoded as {coding!r}, which was not asked for")
    if coding not in _CODINGS and declared.isdecimal() and int(declared) > limit:
        raise TooLarge(f"The response has {declared} bytes, the limit is {limit}")
    opener = _Inflate() if coding in _CODINGS else None
    size = 0
    async for chunk in response.aiter_raw():
        for part in (chunk,) if opener is None else opener.inflate(chunk):
            size += len(part)
            if size > limit:
                raise TooLarge(f"The response is larger than the limit of {limit} bytes")
            yield part
            if opener is not None:
                await asyncio.sleep(0)  # a chunk can hold a thousand times its size: others get their turn in between
    if opener is not None:
        opener.finish()


class _Inflate:
    """One gzip, zlib or (as some servers mean `deflate`) raw deflate stream; gzip may come in several members."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._is_first = True

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk becomes, in parts of at most PART_BYTES; nothing is inflated before it is asked for."""
        waiting = chunk
        while waiting:
            out = self._open(waiting)
            if out:
                yield out
            waiting = self._stream.unconsumed_tail
            if self._stream.eof:
                waiting = self._stream.unused_data
                if waiting:
                    self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
            elif not waiting and len(out) == PART_BYTES:
                yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        """All input is taken, but zlib still holds output that did not fit."""
        while out := self._decompress(b""):
            yield out

    def _open(self, data: bytes) -> bytes:
        first, self._is_first = self._is_first, False
        try:
            return self._stream.decompress(data, PART_BYTES)
        except zlib.error as error:
            if not first:
                raise httpx.DecodingError(f"The compressed body is damaged: {error}") from error
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._stream.decompress(data, PART_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError(f"The body is not compressed as its header says: {error}") from error

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, PART_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError(f"The compressed body is damaged: {error}") from error

    def finish(self) -> None:
        if not self._stream.eof and not self._is_first:
            raise httpx.DecodingError("The compressed body ends too early")
