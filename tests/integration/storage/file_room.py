"""Sessions whose events lie in files, and processes that die at a chosen step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from models.events import EventType
from models.tenants import SessionScope
from planvault.engine.evolve import fold
from planvault.engine.state import SessionState
from planvault.storage.files.folder import EventFolder
from tests.integration.runtime.harness import Platform


def files(folder: EventFolder) -> list[str]:
    return sorted(path.name for path in folder.root.rglob("*.events"))


async def finished(platform: Platform, session: SessionScope | None = None, runs: int = 2) -> SessionScope:
    """By a host of its own, which dies then."""
    session = session or await platform.session()
    before = [event.type for event in await platform.history(session)].count(EventType.DONE)
    async with platform.host("a"):
        for number in range(runs):
            await platform.says(session, f"prompt {number}")
        await platform.saw(session, EventType.DONE, times=before + runs)
    await platform.pool.execute("DELETE FROM hosts")
    return session


async def state(platform: Platform, session: SessionScope) -> SessionState:
    return fold(SessionState(session), await platform.record(session))


class Killed(BaseException):
    """The process is gone: nothing of it runs on."""


class Mortal:
    """A pool with its connections, or a folder, whose process dies at one of its steps: before it, or behind it."""

    def __init__(self, inner: Any, steps: Iterator[int], at: int, behind: bool) -> None:
        self._inner = inner
        self._steps = steps
        self._at = at
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        match name:
            case "acquire":
                return self._acquire
            case "write":
                return self._write
            case "fetch" | "fetchval" | "execute":
                return partial(self._ask, inner)
            case _:
                return inner

    @contextmanager
    def _step(self) -> Iterator[None]:
        step = next(self._steps)
        if step == self._at and not self._behind:
            raise Killed
        yield
        if step == self._at:
            raise Killed

    async def _ask(self, ask: Any, *arguments: Any) -> Any:
        with self._step():
            return await ask(*arguments)

    def _write(self, *arguments: Any) -> None:
        with self._step():
            self._inner.write(*arguments)

    @asynccontextmanager
    async def _acquire(self) -> AsyncIterator[Mortal]:
        """Behind it is behind the commit."""
        with self._step():
            async with self._inner.acquire() as connection:
                yield Mortal(connection, self._steps, self._at, self._behind)
