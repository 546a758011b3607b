"""The outside world: counts the effects that reach it, and kills who caused the first before it can hear of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Witness:
    """`POST` anything is one effect. Between `arm` and the kill its first sender has seen no answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.effects = 0
        self._victim: int | None = None
        self._killed = asyncio.Event()

    def arm(self, pid: int) -> None:
        """The next effect kills this process."""
        self.effects, self._victim = 0, pid
        self._killed.clear()

    async def killed(self) -> None:
        await self._killed.wait()

    def saw(self) -> bool:
        """One effect came. True where it is to be answered."""
        self.effects += 1
        if self._victim is None:
            return True
        os.kill(self._victim, signal.SIGKILL)
        self._victim = None
        self._killed.set()
        return False


@asynccontextmanager
async def witness() -> AsyncIterator[Witness]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next(
                    (line.split(":")[1] for line in head.split("\r\n") if line.startswith("content-length:")), "0"
                )
                await reader.readexactly(int(length))
                if not seen.saw():
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done, or dead
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen = Witness(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield seen
