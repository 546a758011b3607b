"""One viewer's event stream: the session's history after the last seen seq, then whatever follows.

Rows are read when the viewer can take them, so a slow client holds one bounded batch and its place.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import orjson

from models.events import HISTORY_ONLY
from models.tenants import SessionScope
from planvault.storage.history import HistoryEvent, HistoryReader
from planvault.storage.sessions import Sessions
from serve_apps.history_feed import HistoryFeed

BATCH = 200
BATCH_BYTES = 1024 * 1024  # of every viewer at once
PING = b"event: ping\ndata: {}\n\n"


# JSON leaves these as they are, and many clients end a line at them: U+0085, U+2028, U+2029.
_LINE_BREAKS = (("\x85", rb"\u0085"), ("\u2028", rb"\u2028"), ("\u2029", rb"\u2029"))


def frame(event: HistoryEvent) -> bytes:
    """`id:` is the history seq; `data:` is one line, whatever the client takes for a line break."""
    data = orjson.dumps(event.payload)
    for character, escaped in _LINE_BREAKS:
        data = data.replace(character.encode(), escaped)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), data)


MayRead = Callable[[], Awaitable[bool]]
"""Whether the viewer's credential still opens the session; asked before each batch, so it must be cheap."""


class ChatStreams:
    def __init__(self, history: HistoryReader, sessions: Sessions, feed: HistoryFeed) -> None:
        self._history = history
        self._sessions = sessions
        self._feed = feed

    async def stream(self, scope: SessionScope, shard: int, seen: int, may_read: MayRead) -> AsyncIterator[bytes]:
        """Ends when the session is closed and its record complete, when the viewer's key was revoked, or when the
        replica stops; a client then resumes and is told which."""
        async with self._feed.watch(scope, shard, seen) as watch:
            # A comment at once, so that proxies and clients see the response's head before the first event.
            yield b": connected\n\n"
            while not self._feed.stopping:
                settled = await self._sessions.is_settled(scope)  # asked first: what came before it is read below
                while events := await self._history.after(scope, seen, BATCH, BATCH_BYTES):
                    if not await may_read():
                        return
                    for event in events:
                        if event.type not in HISTORY_ONLY:
                            yield frame(event)
                        seen = event.seq
                if settled:
                    return
                await watch.news()
