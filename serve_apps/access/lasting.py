"""Answers that last end with the right to them, whichever route sends them: the gate holds it, so none can forget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planvault.storage.pool import is_away

ASK_EVERY_S = 0.9
"""What is known about callers may be 4 s old: together less than the 5 s that the product promises."""
_FAREWELL_S = 1.0

_log = structlog.get_logger(__name__)


async def while_admitted(
    again: Callable[[], Awaitable[bool]], app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run `app`. From the first part of an answer that has more, ask `again`; once it says no, end the answer.

    An event stream is closed like one that is over: its viewer comes back and is told why. Any other answer breaks
    off, since half a download that ended properly would pass for a whole one.
    """
    answer = _Answer(again, send)
    try:
        async with answer.right:
            await app(scope, receive, answer.send)
    except TimeoutError:
        if not answer.right.expired():
            raise
        answer.raise_fault()
        _log.info("access_ended", path=scope["path"])
        await answer.close()
    finally:
        answer.ask_no_more()


class _Answer:
    def __init__(self, again: Callable[[], Awaitable[bool]], send: Send) -> None:
        self.right = asyncio.timeout(None)  # nobody knows when; it is set to now
        self._again = again
        self._send = send
        self._asking: asyncio.Task[None] | None = None
        self._is_event_stream = False
        self._is_over = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = Headers(raw=message.get("headers", [])).get("content-type", "")
            self._is_event_stream = kind.startswith("text/event-stream")
        elif message.get("more_body") and self._asking is None:
            self._asking = asyncio.create_task(_until_refused(self._again))
            self._asking.add_done_callback(self._end)
        elif not message.get("more_body"):
            self.ask_no_more()  # all of it is told
        await self._send(message)

    def _end(self, asking: asyncio.Task[None]) -> None:
        # The answer may have been told to its end since; then nothing is left to be broken off.
        if not (asking.cancelled() or self._is_over):
            self.right.reschedule(asyncio.get_running_loop().time())

    def ask_no_more(self) -> None:
        self._is_over = True
        if self._asking is not None:
            self._asking.cancel()

    def raise_fault(self) -> None:
        """Why nobody could be asked, where that is what ended the answer."""
        if self._asking is not None:
            self._asking.result()

    async def close(self) -> None:
        if self._is_over or not self._is_event_stream:
            return
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            _log.info("viewer_stalled")  # it takes nothing: the server cuts the connection


async def _until_refused(again: Callable[[], Awaitable[bool]]) -> None:
    """While the database is away nobody's rights change there, and nothing is read for the answer either."""
    while True:
        await asyncio.sleep(ASK_EVERY_S)
        try:
            if not await again():
                return
        except Exception as fault:
            if not is_away(fault):
                raise
