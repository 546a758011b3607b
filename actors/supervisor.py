"""Keeps desired and real in step: the actors that should run, run; those of older builds are drained away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desired:
    """Actor name → which class it is."""

    actors: dict[str, str]


class Fleet(Protocol):
    """What a supervisor can do to actors; the Ray implementation lives in `actors.classes`."""

    async def running(self) -> frozenset[str]:
        """Names of our actors that are alive, being started or being restarted."""
        ...

    async def start(self, name: str, kind: str) -> None: ...

    async def retire(self, name: str) -> None:
        """Drain the actor, then end it."""
        ...


class Supervisor:
    """One round a period. A round that fails is logged and followed by the next: reality is read again each time."""

    def __init__(self, fleet: Fleet, desired: Desired, period_s: float = 2.0) -> None:
        self._fleet = fleet
        self._desired = desired
        self._period_s = period_s
        self.rounds = 0

    async def run(self) -> None:
        while True:
            try:
                await self.reconcile()
            # Whatever the cluster answers, the next round looks again.
            except Exception:  # noqa: BLE001
                _log.exception("supervisor.round_failed")
            await asyncio.sleep(self._period_s)

    async def reconcile(self) -> None:
        """Start what is missing, retire what is not wanted."""
        running = await self._fleet.running()
        for name in missing(self._desired, running):
            _log.info("supervisor.start", actor=name)
            await self._fleet.start(name, self._desired.actors[name])
        for name in surplus(self._desired, running):
            _log.info("supervisor.retire", actor=name)
            await self._fleet.retire(name)
        self.rounds += 1


def missing(desired: Desired, running: Collection[str]) -> list[str]:
    return sorted(desired.actors.keys() - set(running))


def surplus(desired: Desired, running: Collection[str]) -> list[str]:
    return sorted(set(running) - desired.actors.keys())
