"""Faults at the boundaries of a session's record: decorators around the event store and the effect runner.

A boundary is reached by counting the session's appends, and the effects that start behind each, never by time. There
the process kills itself, or tells the test and waits for its word.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.events import Event
from planvault.engine.effects import CallTool, Effect
from planvault.engine.inputs import EffectResult
from planvault.engine.state import SessionState
from planvault.ports import Append
from planvault.runtime.host import Store
from planvault.runtime.session import LeaseGate, Runner
from planvault.storage.files.event_store import FileEventStore
from planvault.storage.files.ledger import Ledger, Written
from planvault.storage.pool import Connection
from planvault.wiring import Around


class Phase(StrEnum):
    BEFORE_APPEND = "before the append"
    AFTER_APPEND = "after the append and before the effect"
    DURING_EFFECT = "during the effect"
    AFTER_EFFECT = "after the effect and before its result is appended"
    # Inside an append to files:
    FLUSHED = "after the flush and before the transaction"
    IN_TRANSACTION = "in the transaction and before its commit"
    COMMITTED = "after the commit and before anybody knows of it"


ON_FILES = (Phase.FLUSHED, Phase.IN_TRANSACTION, Phase.COMMITTED)
EVERYWHERE = tuple(phase for phase in Phase if phase not in ON_FILES)
NOT_YET = frozenset({Phase.BEFORE_APPEND, Phase.FLUSHED, Phase.IN_TRANSACTION})
"""The append that is counted is not committed there."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """`append` counts from 1; `effect` tells those apart that one append intends."""

    append: int
    phase: Phase
    effect: int = 0

    def __str__(self) -> str:
        return f"append {self.append}, {self.phase}" + (f" ({self.effect})" if self.effect else "")


class Action(StrEnum):
    KILL = "kill"
    PAUSE = "pause"


@dataclass(slots=True)
class Watch:
    """One session's count, and where it is to end."""

    at: Boundary | None
    action: Action
    case: str
    appends: int = 0
    effects: int = 0  # that started behind the newest append

    def is_at(self, append: int, phase: Phase, effect: int = 0) -> bool:
        return self.at == Boundary(append, phase, effect)


Tell = Callable[[dict[str, Any]], None]
Count = Callable[[str, str], Awaitable[Any]]
"""Asks the counting service: (op, case)."""


class Faults:
    """Of one process. `tell` reaches the test; `count` the counting service."""

    def __init__(self, tell: Tell, count: Count) -> None:
        self.tell = tell
        self.count = count
        self.watches: dict[str, Watch] = {}
        self.go = asyncio.Event()

    def around(self) -> Around:
        return Around(
            store=lambda store: FaultyStore(store, self),  # type: ignore[arg-type,return-value]
            runner=lambda runner: FaultyRunner(runner, self),
        )

    def watched(self, batch: Sequence[Append]) -> list[tuple[Watch, Append]]:
        found = ((self.watches.get(str(item.scope.session_id)), item) for item in batch)
        return [(watch, item) for watch, item in found if watch is not None]

    async def reached(self, batch: Sequence[Append], phase: Phase) -> None:
        """The appends that come next for these sessions are in this phase."""
        for watch, _ in self.watched(batch):
            if watch.is_at(watch.appends + 1, phase):
                await self.strike(watch)

    async def strike(self, watch: Watch) -> None:
        """The boundary is reached. Ends the process, or returns once the test says so."""
        if watch.action is Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        watch.at = None
        self.go.clear()
        self.tell({"reached": True})
        await self.go.wait()


class FaultyStore:
    """The event store and inbox as they are, but for what happens around an append."""

    def __init__(self, inner: Store, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        if isinstance(inner, FileEventStore):
            inner.ledger = FaultyLedger(inner.ledger, faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        watched = self._faults.watched(batch)
        await self._faults.reached(batch, Phase.BEFORE_APPEND)
        mine = await self._inner.append(batch)
        for watch, item in watched:
            if item.lease.shard not in mine:
                self._faults.tell({"refused": len(item.events)})
                continue
            watch.appends, watch.effects = watch.appends + 1, 0
            self._faults.tell({"append": watch.appends, "events": [_told(event) for event in item.events]})
            if watch.is_at(watch.appends, Phase.AFTER_APPEND):
                await self._faults.strike(watch)
        return mine


class FaultyLedger(Ledger):
    """The file store's transaction as it is, but for what happens around and inside it."""

    def __init__(self, inner: Ledger, faults: Faults) -> None:
        super().__init__(inner._pool, inner._database)
        self._faults = faults

    async def commit(self, batch: Sequence[Append], written: Sequence[Written]) -> frozenset[int]:
        await self._faults.reached(batch, Phase.FLUSHED)
        mine = await super().commit(batch, written)
        await self._faults.reached([item for item in batch if item.lease.shard in mine], Phase.COMMITTED)
        return mine

    async def enter(
        self, connection: Connection, batch: Sequence[Append], written: Sequence[Written]
    ) -> frozenset[int]:
        mine = await super().enter(connection, batch, written)
        await self._faults.reached(batch, Phase.IN_TRANSACTION)
        return mine


class FaultyRunner:
    def __init__(self, inner: Runner, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def run(self, state: SessionState, effect: Effect, gate: LeaseGate) -> EffectResult:
        watch = self._faults.watches.get(str(state.scope.session_id))
        if watch is None:
            return await self._inner.run(state, effect, gate)
        append, number = watch.appends, watch.effects
        watch.effects += 1
        self._faults.tell({"effect": number, "append": append, "effect_id": effect.effect_id})
        if watch.is_at(append, Phase.DURING_EFFECT, number):
            return await self._held(watch, state, effect, gate)
        result = await self._inner.run(state, effect, gate)
        if watch.is_at(append, Phase.AFTER_EFFECT, number):
            await self._faults.strike(watch)
        return result

    async def _held(self, watch: Watch, state: SessionState, effect: Effect, gate: LeaseGate) -> EffectResult:
        """A call strikes once the service has received it and holds its answer; what is ours, once it has begun."""
        outside = isinstance(effect, CallTool) and not effect.pin.name.startswith(_INSIDE)
        if outside:
            await self._faults.count("hold", watch.case)
        running = asyncio.create_task(self._inner.run(state, effect, gate))
        await (self._faults.count("received", watch.case) if outside else asyncio.sleep(0))
        await self._faults.strike(watch)
        return await running


_INSIDE = ("sleep", "short_sleep", "noop", "wait_for_signal")  # native tools: no request leaves


def _told(event: Event) -> dict[str, Any]:
    return {"type": event.type.value, "payload": event.payload}
