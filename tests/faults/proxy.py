"""A wire between a host and its Postgres that is cut where a test says: before a statement arrives, or behind it.

Cut behind a commit, the server has done it and its client never hears so. A cut is placed by what passes on the wire,
not by time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_READY_IDLE = b"Z\x00\x00\x00\x05I"  # ReadyForQuery outside of a transaction: what came before is committed


@dataclass
class Cut:
    """Ends the connection that carries `pattern` to the server, once.

    `delivered`: after the server has done and committed it, its answer lost; else before the server hears of it.
    """

    pattern: bytes
    delivered: bool
    struck: asyncio.Event = field(default_factory=asyncio.Event)


class Wire:
    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._cuts: list[Cut] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.refusing = False

    @property
    def url(self) -> str:
        """The database, through this wire."""
        login = self._server.netloc.rpartition("@")[0]
        return f"postgresql://{login}@127.0.0.1:{self._port}{self._server.path}"

    def cut(self, pattern: bytes, *, delivered: bool) -> Cut:
        cut = Cut(pattern, delivered)
        self._cuts.append(cut)
        return cut

    def cut_all(self) -> None:
        """Every connection, now."""
        for writer in list(self._open):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            theirs = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, reader, writer, *theirs)
        self._open |= {writer, theirs[1]}
        try:
            await line.run()
        finally:
            self._open -= {writer, theirs[1]}

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sockets = parse_qs(self._server.query).get("host")
        if sockets:
            return await asyncio.open_unix_connection(f"{sockets[0]}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._server.hostname, self._server.port)

    def asked(self, data: bytes) -> Cut | None:
        """The cut that these bytes to the server meet; it is used up."""
        found = next((cut for cut in self._cuts if cut.pattern in data), None)
        if found is not None:
            self._cuts.remove(found)
        return found


class _Line:
    """One client's connection."""

    def __init__(
        self,
        wire: Wire,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        self._wire = wire
        self._client = (reader, writer)
        self._server = (server_reader, server_writer)
        self._cut: Cut | None = None

    async def run(self) -> None:
        tasks = {asyncio.create_task(self._forth()), asyncio.create_task(self._back())}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in (self._client, self._server):
            writer.transport.abort()

    async def _forth(self) -> None:
        tail = b""
        with suppress(ConnectionError):
            while data := await self._client[0].read(1 << 20):
                cut = self._wire.asked(tail + data)
                tail = data[-64:]
                if cut is not None and not cut.delivered:
                    cut.struck.set()
                    return
                self._cut = cut or self._cut
                self._server[1].write(data)
                await self._server[1].drain()

    async def _back(self) -> None:
        with suppress(ConnectionError):
            while data := await self._server[0].read(1 << 20):
                if self._cut is not None:
                    if data.endswith(_READY_IDLE):
                        self._cut.struck.set()
                        return
                    continue
                self._client[1].write(data)
                await self._client[1].drain()


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    wire = Wire(url)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire._port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut_all()
