"""The operators' port: every replica of the API on a machine listens on it, and the kernel shares requests out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from planvault.errors import BringUpFailed
from planvault.settings import Settings
from serve_apps.dependencies import ApiDeps
from serve_apps.superadmin.app import create_superadmin
from serve_apps.superadmin.parts import open_platform

_STOP_S = 2


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: the process is the replica's, and ends when that says so."""
        yield


@asynccontextmanager
async def superadmin(settings: Settings, deps: ApiDeps) -> AsyncIterator[int]:
    """Serves the operators' API beside the public one and gives its port; 0 where the settings name none.

    Raises BringUpFailed where the port is another's.
    """
    if not settings.superadmin_port:
        yield 0
        return
    async with (
        open_platform(settings, deps.commands) as platform,
        _listening(settings, create_superadmin(deps, platform)) as port,
    ):
        yield port


@asynccontextmanager
async def _listening(settings: Settings, app: FastAPI) -> AsyncIterator[int]:
    place = (settings.superadmin_host, settings.superadmin_port)
    family = socket.AF_INET6 if ":" in settings.superadmin_host else socket.AF_INET
    try:
        listener = socket.create_server(place, family=family, reuse_port=True)
    except OSError as error:
        raise BringUpFailed(
            f"The operators' API cannot listen on {place[0]} port {place[1]} ({error.strerror}). Choose another "
            "PLANVAULT_SUPERADMIN_PORT or PLANVAULT_SUPERADMIN_HOST."
        ) from error
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="superadmin")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()
