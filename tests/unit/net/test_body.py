import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from planvault.errors import TooLarge
from planvault.net.body import read_bounded

TEXT = b"all work and no play " * 100


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


class Chunks(httpx.AsyncByteStream):
    def __init__(self, data: bytes, size: int) -> None:
        self._parts = [data[at : at + size] for at in range(0, len(data), size)]
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            self.given += 1
            yield part


def answer(data: bytes, coding: str | None = None, *, size: int = 64, **headers: str) -> httpx.Response:
    given = headers | ({"Content-Encoding": coding} if coding else {})
    return httpx.Response(200, headers=given, stream=Chunks(data, size))


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (None, TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("GZIP", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:500], mtime=0) + gzip.compress(TEXT[500:], mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
@pytest.mark.parametrize("size", [7, 10_000])
async def test_a_body_reads_the_same_however_it_travels(coding: str | None, data: bytes, size: int) -> None:
    assert await read_bounded(answer(data, coding, size=size), len(TEXT)) == TEXT


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
async def test_an_empty_body_is_empty(coding: str | None) -> None:
    assert await read_bounded(answer(b"", coding), 10) == b""


@pytest.mark.parametrize(
    ("coding", "data"), [(None, TEXT), ("gzip", gzip.compress(TEXT, mtime=0)), ("deflate", raw_deflate(TEXT))]
)
async def test_one_byte_over_the_limit_is_too_large(coding: str | None, data: bytes) -> None:
    with pytest.raises(TooLarge):
        await read_bounded(answer(data, coding), len(TEXT) - 1)


async def test_a_bomb_is_stopped_at_the_limit_and_not_unpacked_first() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    response = answer(bomb, "gzip", size=16_384)
    with pytest.raises(TooLarge):
        await read_bounded(response, 100_000)
    assert isinstance(response.stream, Chunks)
    assert response.stream.given == 1  # 16 KiB of it, of which 100,001 bytes were unpacked


async def test_a_declared_length_over_the_limit_is_refused_before_reading() -> None:
    response = answer(TEXT, Content_Length="x")
    response.headers["Content-Length"] = str(len(TEXT))
    with pytest.raises(TooLarge, match=str(len(TEXT))):
        await read_bounded(response, 10)
    assert isinstance(response.stream, Chunks)
    assert response.stream.given == 0


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-20]),
        ("gzip", gzip.compress(TEXT, mtime=0)[:40] + b"\xff" * 40),
        ("br", TEXT),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0)),
    ],
)
async def test_a_damaged_body_or_an_unasked_coding_is_an_error(coding: str, data: bytes) -> None:
    with pytest.raises(httpx.DecodingError):
        await read_bounded(answer(data, coding), 1_000_000)
