"""A real HTTP server for the event stream (httpx.ASGITransport buffers), and a reader of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import uvicorn
from starlette.types import ASGIApp

from serve_apps.api import create_app
from tests.integration.serve_apps.conftest import ObservedDeps


def serving(deps: ObservedDeps) -> AbstractAsyncContextManager[str]:
    """The base URL of the application on a loopback port of the system's choice."""
    return listening(create_app(deps))


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """The base URL of any application."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    )
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@dataclass(frozen=True)
class Sse:
    event: str
    id: str | None
    data: Any


async def events(response: httpx.Response) -> AsyncIterator[Sse]:
    """Events as they arrive; comments are passed over. A second `data:` line of one event fails the test."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            assert name not in fields, f"two {name}: lines in one event"
            fields[name] = value
        elif fields:
            yield Sse(fields["event"], fields.get("id"), orjson.loads(fields["data"]))
            fields = {}


async def take(stream: AsyncIterator[Sse], count: int, within_s: float = 10.0) -> list[Sse]:
    """The next `count` events that are not pings."""
    got: list[Sse] = []
    async with asyncio.timeout(within_s):
        while len(got) < count:
            event = await anext(stream)
            if event.event != "ping":
                got.append(event)
    return got
