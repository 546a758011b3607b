"""Wake-ups over Redis, beside NOTIFY: hosts hear of commands, API replicas of history.

A hint may be lost, doubled or late. Whoever hears it also listens to Postgres, and polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog
from redis.asyncio.client import PubSub

from planvault.storage.redis_link import LOST, RedisLink, connect

_log = structlog.get_logger(__name__)

COMMANDS = "planvault_commands"
HISTORY = "planvault_history"

_SILENCE_S = 5.0  # after so long without a word the other end is asked whether it is there
_CONNECT_S = 2.0
_RECONNECT_S = (0.5, 5.0)


class Hints:
    """`link` asks, a connection of its own listens. Channels bear the names that NOTIFY uses."""

    def __init__(self, link: RedisLink, url: str) -> None:
        self._link = link
        self._url = url

    async def history(self, shards: Collection[int]) -> None:
        """Tell viewers which shards have new history."""
        await self.tell(HISTORY, ",".join(map(str, sorted(shards))))

    async def tell(self, channel: str, note: str) -> None:
        """Never fails, and never takes longer than one question to Redis."""
        await self._link.ask("PUBLISH", channel, note)

    async def hear(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with each note, and with the empty one after every (re)connect. Runs until cancelled."""
        pause, told = _RECONNECT_S[0], False

        def connected() -> None:
            nonlocal pause, told
            pause, told = _RECONNECT_S[0], False
            heard("")

        while True:
            try:
                await self._hear_once(channel, heard, connected)
            except LOST as fault:
                if not told:  # once an absence, not once a try
                    _log.warning("hints.lost", channel=channel, cause=type(fault).__name__)
                told = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RECONNECT_S[1])

    async def _hear_once(self, channel: str, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        client = connect(self._url, answer_s=_CONNECT_S, most=1)
        try:
            async with client.pubsub() as subscription:
                await subscription.subscribe(channel)
                while True:
                    kind, note = await _next(subscription)
                    if kind == "subscribe":
                        connected()
                    elif kind == "message":
                        heard(note)
        finally:
            await client.aclose()


async def _next(subscription: PubSub) -> tuple[str, str]:
    """The next word from Redis. Raises TimeoutError where even a ping has none: the other end has vanished."""
    message = await subscription.get_message(timeout=_SILENCE_S)
    if message is None:
        await subscription.ping()
        message = await subscription.get_message(timeout=_SILENCE_S)
        if message is None:
            raise TimeoutError("Redis does not answer a ping")
    data = message["data"]
    return str(message["type"]), data.decode(errors="replace") if isinstance(data, bytes) else ""
