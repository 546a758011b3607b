"""Look-ups that many wait for at the same moment: streams ask again together when what is remembered has aged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _LookUp(Generic[Value]):
    began_at: float
    answer: asyncio.Task[Value | None]


class LookUps(Generic[Key, Value]):
    """One at a time for each key; whoever asks meanwhile waits for its answer, and who goes leaves it to the others.

    Only for what is there: that something is not may have changed since the question, and who was let in a moment ago
    is let in at once.
    """

    def __init__(self, elapsed: Callable[[], float], believed_s: float) -> None:
        """A look-up that began `believed_s` ago is joined by nobody: its answer would not be believed any more."""
        self._elapsed = elapsed
        self._believed_s = believed_s
        self._under_way: dict[Key, _LookUp[Value]] = {}

    async def find(self, key: Key, ask: Callable[[], Awaitable[Value | None]]) -> Value | None:
        """What `ask` answers, now or to somebody who asked shortly before. Raises what it raises."""
        joined = self._under_way.get(key)
        if joined is not None and self._elapsed() - joined.began_at < self._believed_s:
            answer = await asyncio.shield(joined.answer)
            if answer is not None:
                return answer
        return await asyncio.shield(self._begin(key, ask))

    def _begin(self, key: Key, ask: Callable[[], Awaitable[Value | None]]) -> asyncio.Task[Value | None]:
        async def answered() -> Value | None:
            try:
                return await ask()
            finally:
                if self._under_way.get(key) is look_up:
                    del self._under_way[key]

        look_up = _LookUp(self._elapsed(), asyncio.create_task(answered()))
        self._under_way[key] = look_up
        look_up.answer.add_done_callback(_heard)
        return look_up.answer


def _heard(answer: asyncio.Task[Value | None]) -> None:
    """A fault is told to all who wait; asyncio would complain where they have left."""
    if not answer.cancelled():
        answer.exception()
