"""Live streams: each counts when it opens, and again with every window of its limit while it is open.

So the limit of all replicas bounds how many are opened, and, within twice its number, how many are open at once; of one
replica never more than its number are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from models.rate_limits import Quota


class OpenStreams:
    """Of this replica, by who holds them."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def is_full(self, holder: str, quota: Quota) -> bool:
        return self._open.get(holder, 0) >= quota.requests

    @contextmanager
    def one_more(self, holder: str, quota: Quota, again: Callable[[], None]) -> Iterator[None]:
        """For the life of a stream; `again` is called with every window that begins in it."""
        self._open[holder] = self._open.get(holder, 0) + 1
        ticking = asyncio.create_task(_every(quota.seconds, again))
        try:
            yield
        finally:
            ticking.cancel()
            self._open[holder] -= 1
            if not self._open[holder]:
                del self._open[holder]


async def _every(seconds: float, call: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        call()
