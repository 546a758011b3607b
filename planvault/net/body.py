"""Reading a response's body under a bound, compressed or not."""

from __future__ import annotations

import zlib

import httpx

from planvault.errors import TooLarge

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # zlib looks at the header which of the two it is
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


async def read_bounded(response: httpx.Response, limit: int) -> bytes:
    """The whole body, at most `limit` bytes after decompression: a small bomb is as large as what it becomes.

    Raises TooLarge, httpx.DecodingError for a coding that we did not ask for or a damaged body, httpx.TransportError.
    """
    declared = response.headers.get("Content-Length", "")
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in _CODINGS | {"identity", ""}:
        raise httpx.DecodingError(f"The response is encoded as {coding!r}, which was not asked for")
    if coding not in _CODINGS and declared.isdecimal() and int(declared) > limit:
        raise TooLarge(f"The response has {declared} bytes, the limit is {limit}")
    opener = _Inflate() if coding in _CODINGS else None
    parts: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        part = chunk if opener is None else opener.inflate(chunk, limit - size + 1)
        size += len(part)
        if size > limit:
            raise TooLarge(f"The response is larger than the limit of {limit} bytes")
        parts.append(part)
    if opener is not None:
        opener.finish()
    return b"".join(parts)


class _Inflate:
    """One gzip, zlib or (as some servers mean `deflate`) raw deflate stream; gzip may come in several members."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._is_first = True

    def inflate(self, chunk: bytes, most: int) -> bytes:
        """At most `most` bytes; the caller stops when it gets them all, so nothing is left behind unseen."""
        first, self._is_first = self._is_first, False
        try:
            return self._decompress(chunk, most)
        except zlib.error as error:
            if not first:
                raise httpx.DecodingError(f"The compressed body is damaged: {error}") from error
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._stream.decompress(chunk, most)
        except zlib.error as error:
            raise httpx.DecodingError(f"The body is not compressed as its header says: {error}") from error

    def _decompress(self, chunk: bytes, most: int) -> bytes:
        out = self._stream.decompress(chunk, most)
        while self._stream.eof and self._stream.unused_data and len(out) < most:
            rest, self._stream = self._stream.unused_data, zlib.decompressobj(_GZIP_OR_ZLIB)
            out += self._stream.decompress(rest, most - len(out))
        return out

    def finish(self) -> None:
        if not self._stream.eof and not self._is_first:
            raise httpx.DecodingError("The compressed body ends too early")
