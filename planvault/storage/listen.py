"""LISTEN on one channel for as long as the process lives. Notifications are hints: whoever listens also polls."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import structlog

_CONNECT_S = 5.0
_RECONNECT_S = 1.0
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

_log = structlog.get_logger(__name__)


async def listen(url: str, channel: str, heard: Callable[[str], None]) -> None:
    """Call `heard` with each payload, and with the empty one after every (re)connect: anything may have been missed.

    Runs until cancelled, on a direct connection: LISTEN does not survive a pool or a transaction pooler.
    """
    while True:
        try:
            await _listen_once(url, channel, heard)
        except _LOST as fault:
            _log.warning("listen.lost", channel=channel, cause=type(fault).__name__)
        await asyncio.sleep(_RECONNECT_S)


async def _listen_once(url: str, channel: str, heard: Callable[[str], None]) -> None:
    name = f"planvault/listen-{channel}"
    connection = await asyncpg.connect(url, timeout=_CONNECT_S, server_settings={"application_name": name})
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    try:
        await connection.add_listener(channel, lambda _connection, _pid, _channel, payload: heard(str(payload)))
        heard("")
        await ended.wait()
    finally:
        with suppress(*_LOST):
            await connection.close(timeout=1.0)
