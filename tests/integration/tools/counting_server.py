"""A real HTTP server on loopback that counts connections and complete requests, and misbehaves on demand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int  # 1 for the first


@dataclass(slots=True)
class CountingServer:
    """`handle` gets each complete request and the open connection, and writes whatever it likes."""

    handle: "Handler"
    url: str = ""
    connections: int = 0
    requests: list[Received] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        number = self.connections
        try:
            while not writer.is_closing():
                received = await _read(reader, number)
                self.requests.append(received)
                await self.handle(received, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left
        finally:
            writer.close()


Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


async def _read(reader: asyncio.StreamReader, connection: int) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body, connection)


@asynccontextmanager
async def counting(handle: Handler) -> AsyncIterator[CountingServer]:
    server = CountingServer(handle)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        listening.close()
        for writer in server.writers:
            writer.close()


def answering(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    """Answers every request the same, keeping the connection open. Header names have `_` for `-`."""

    async def handle(_: Received, writer: asyncio.StreamWriter) -> None:
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body)
        await writer.drain()

    return handle


async def dropping(_: Received, writer: asyncio.StreamWriter) -> None:
    """Executes, then closes the connection without a word."""
    writer.close()
