"""Redis as a thing that may be missing: every question is short, and while it does not answer nobody asks.

Postgres holds everything that Redis is told, so a question without an answer is only a slower one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

ANSWER_S = 0.1  # the longest that one question may take, connecting included
_CONNECTIONS = 32
_PAUSE_S = (0.25, 5.0)  # first and longest wait before a silent Redis is asked again
LOST = (RedisError, OSError, TimeoutError)
"""What tells that Redis does not answer, or not as it should."""


def connect(url: str, *, answer_s: float = ANSWER_S, most: int = _CONNECTIONS) -> Redis:
    """A client that gives up after `answer_s` seconds and repeats nothing by itself."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=most,
        timeout=answer_s,
        socket_timeout=answer_s,
        socket_connect_timeout=answer_s,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


class RedisLink:
    """A circuit around one client. The first question that fails opens it; a ping in the background closes it again."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._pause_s = _PAUSE_S[0]
        self._mending: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether questions are asked at all. True until one has failed."""
        return self._mending is None

    async def ask(self, *command: str | bytes | int) -> object:
        """The answer to a command, or None where there is none within ANSWER_S. Raises nothing of Redis."""
        if not self.is_up:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._command(*command)
        except LOST as fault:
            self._open(fault)
            return None
        self._pause_s = _PAUSE_S[0]
        return answer

    async def ping(self) -> None:
        """Raises one of LOST. For people who want to know; it neither opens nor closes the circuit."""
        async with asyncio.timeout(ANSWER_S):
            await self._command("PING")

    async def _command(self, *command: str | bytes | int) -> object:
        answer: object = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return answer

    async def aclose(self) -> None:
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        with suppress(*LOST):
            async with asyncio.timeout(ANSWER_S):
                await self._client.aclose()

    def _open(self, fault: Exception) -> None:
        if self._mending is None:
            _log.warning("redis.lost", cause=type(fault).__name__)
            self._mending = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        """Until Redis answers again. The pause grows over pings that succeed, too: only an answer resets it."""
        while True:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, _PAUSE_S[1])
            try:
                await self.ping()
            except LOST:
                continue
            _log.info("redis.back")
            self._mending = None
            return


@asynccontextmanager
async def open_link(url: str) -> AsyncIterator[RedisLink | None]:
    """A link for the block; None where no Redis is configured. Connects with the first question, not here."""
    if not url:
        yield None
        return
    link = RedisLink(connect(url))
    try:
        yield link
    finally:
        await link.aclose()
