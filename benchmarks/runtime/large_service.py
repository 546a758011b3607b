"""A loopback service that sends a JSON body of a given size, in a process of its own that lets others run."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_PART = 64 * 1024


def orders(size: int) -> bytes:
    """`{"total": n, "items": [{"id", "name", "tags", "price", "note"}, …]}` of about `size` bytes."""
    item = '{"id":%d,"name":"order number %d","tags":["a","b"],"price":%d.5,"note":"' + "x" * 120 + '"}'
    count = size // (len(item) + 10)
    return f'{{"total":{count},"items":[{",".join(item % (n, n, n) for n in range(count))}]}}'.encode()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    view = memoryview(body)
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(view), _PART):
                part = view[start : start + _PART]
                writer.writelines((b"%x\r\n" % len(part), part, b"\r\n"))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve(ready: Connection, size: int) -> None:
    body = orders(size)
    server = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, body), "127.0.0.1", 0)
    ready.send((server.sockets[0].getsockname()[1], len(body)))
    await server.serve_forever()


def _main(ready: Connection, size: int) -> None:
    asyncio.run(_serve(ready, size))


@contextmanager
def sending(size: int) -> Iterator[tuple[str, int]]:
    """Base URL of the running service, and how many bytes its body has."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_main, args=(theirs, size), daemon=True)
    process.start()
    try:
        port, length = mine.recv()
        yield f"http://127.0.0.1:{port}", length
    finally:
        process.terminate()
        process.join()
