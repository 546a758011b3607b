"""Processes of a fault test: the counting service, the zygote of hosts, and each host as its test sees it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.tenants import SessionScope
from tests.faults.boundaries import Action, Boundary
from tests.faults.host import counting

PATIENCE_S = 30.0  # for what takes a second: the machine may be running other tests beside these


@dataclass
class Service:
    """The counting service's process, seen from a test."""

    base_url: str
    counter: int

    async def ask(self, op: str, case: str) -> Any:
        return await counting(self.counter, op, case)


@contextmanager
def counting_service() -> Iterator[Service]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.service"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        http, counter = process.stdout.readline().split()
        yield Service(f"http://127.0.0.1:{http}", int(counter))
    finally:
        process.kill()
        process.wait(10)


class Zygote:
    """Forks hosts. `environment` holds for all of them."""

    def __init__(self, log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._ready = False

    def fork(self, order: dict[str, Any]) -> int:
        """The new host's process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not self._ready:
            assert self._process.stdout.readline().strip() == "ready", self.log.read_text()
            self._ready = True
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)


@dataclass
class Host:
    """One host's process: what it tells, and what it is told."""

    name: str
    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    news: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    dead: bool = False

    def say(self, **order: Any) -> None:
        self.writer.write(json.dumps(order).encode() + b"\n")

    async def arm(self, scope: SessionScope, case: str, at: Boundary | None, action: Action) -> None:
        """Count this session's appends from now on; returns once the host does."""
        where = None if at is None else {"append": at.append, "phase": at.phase.value, "effect": at.effect}
        self.say(op="arm", session=str(scope.session_id), case=case, at=where, action=action.value)
        await self.told("armed")

    async def told(self, what: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait for the next such news."""
        async with asyncio.timeout(patience_s):
            while True:
                for index, news in enumerate(self.news):
                    if what in news:
                        del self.news[index]
                        return news[what]
                assert not self.dead, f"{self.name} died before it told of {what}"
                self.changed.clear()
                await self.changed.wait()

    async def death(self, patience_s: float = 2.0) -> None:
        """Wait for it a while; `dead` says whether it came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not self.dead:
                    self.changed.clear()
                    await self.changed.wait()

    async def listen(self) -> None:
        with suppress(ConnectionResetError):  # killed with words of ours unread
            while line := await self.reader.readline():
                self.news.append(json.loads(line))
                self.changed.set()
        self.dead = True
        self.changed.set()
