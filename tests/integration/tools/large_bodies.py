"""Large JSON bodies, and handlers that send them well or badly."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

from tests.integration.tools.counting_server import Handler, Received

MIB = 1024 * 1024
_PART = 64 * 1024


def orders(size: int) -> bytes:
    """An object of about `size` bytes: `{"total": n, "items": [{"id": …, "name": …, "tags": […], "price": …}, …]}`."""
    item = '{"id":%d,"name":"order number %d","tags":["a","b"],"price":%d.5,"note":"' + "x" * 120 + '"}'
    count = size // (len(item) + 10)
    items = ",".join(item % (number, number, number) for number in range(count))
    return f'{{"total":{count},"items":[{items}]}}'.encode()


def nested(depth: int, size: int) -> bytes:
    return b'{"pad":"' + b"x" * size + b'","deep":' + b"[" * depth + b"]" * depth + b"}"


def sending(
    body: bytes,
    *,
    content_type: str = "application/json",
    coding: str = "",
    chunked: bool = True,
    declared: int | None = None,
    cut_at: int | None = None,
    pause_s: float = 0.0,
) -> Handler:
    """Streams the body in parts. `declared` lies about its length; `cut_at` closes the connection in the middle."""
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}[coding](body, 1) if coding else body

    async def handle(_: Received, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
        head += f"Content-Encoding: {coding}\r\n" if coding else ""
        length = len(packed) if declared is None else declared
        head += "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {length}\r\n"
        writer.write(f"{head}\r\n".encode())
        view = memoryview(packed)
        for start in range(0, len(packed), _PART):
            if cut_at is not None and start >= cut_at:
                writer.close()
                return
            part = view[start : start + _PART]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    return handle


def items_of(body: bytes) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(body)["items"]
    return found
