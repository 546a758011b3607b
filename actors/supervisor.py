"""Keeps desired and real in step: the actors that should run, run; those of older builds are drained away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)

_PATIENCE_S = 60.0  # how long an older build's actors stay while those that follow them do not answer


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

    async def serves(self, name: str, kind: str) -> bool:
        """Whether the actor is up and does its work. Answers within moments."""
        ...

    async def retire(self, name: str) -> None:
        """Drain the actor in bounded time, then end it. No error where it has gone by itself."""
        ...

    async def leave(self) -> None:
        """End the supervisor's own actor, for good."""
        ...


class Duty(Protocol):
    """A lease on being the one who does this."""

    async def hold(self) -> bool:
        """Take or keep it; false where another has it."""
        ...

    async def is_outranked(self) -> bool:
        """Whether a later deployment has it."""
        ...


class Supervisor:
    """One round a period. A round that fails is logged and followed by the next: reality is read again each time.

    A round never waits for an actor that drains: that goes on beside it.
    """

    def __init__(self, fleet: Fleet, desired: Desired, duty: Duty, period_s: float = 2.0) -> None:
        self._fleet = fleet
        self._desired = desired
        self._duty = duty
        self._period_s = period_s
        self._retiring: dict[str, asyncio.Task[None]] = {}
        self._waited_s = 0.0
        self._was_on_duty = True
        self.rounds = 0

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self.reconcile()
                # Whatever the cluster or the database answers, the next round looks again.
                except Exception:  # noqa: BLE001
                    _log.exception("supervisor.round_failed")
                await asyncio.sleep(self._period_s)
        finally:
            for task in self._retiring.values():
                task.cancel()
            await asyncio.gather(*self._retiring.values(), return_exceptions=True)

    async def reconcile(self) -> None:
        """Start what is missing; retire what is not wanted, once what follows it serves.

        Supervisors do not retire each other: one that has been followed leaves by itself.
        """
        on_duty = await self._duty.hold()
        if on_duty != self._was_on_duty:
            _log.info("supervisor.on_duty" if on_duty else "supervisor.stands_by")
        self._was_on_duty = on_duty
        if on_duty:
            await self._round()
        elif await self._duty.is_outranked():
            _log.info("supervisor.leaves")
            await self._fleet.leave()
        self.rounds += 1

    async def _round(self) -> None:
        running = await self._fleet.running()
        for name in missing(self._desired, running):
            _log.info("supervisor.start", actor=name)
            await self._fleet.start(name, self._desired.actors[name])
        unwanted = surplus(self._desired, running)
        self._retiring = {name: task for name, task in self._retiring.items() if not task.done()}
        if not unwanted:
            self._waited_s = 0.0
        elif await self._may_retire():
            for name in unwanted:
                self._retire(name)

    async def _may_retire(self) -> bool:
        """Whether the older ones' work has somebody to go to. Waiting for that has an end."""
        serving = await asyncio.gather(*(self._fleet.serves(name, kind) for name, kind in self._desired.actors.items()))
        if all(serving) or self._waited_s >= _PATIENCE_S:
            # Asked again: what is unwanted was read before, so none of it is what a later deployment has started.
            return await self._duty.hold()
        self._waited_s += self._period_s
        return False

    def _retire(self, name: str) -> None:
        if name not in self._retiring:
            _log.info("supervisor.retire", actor=name)
            self._retiring[name] = asyncio.create_task(self._end(name))

    async def _end(self, name: str) -> None:
        try:
            await self._fleet.retire(name)
        # It is still there: the next round takes it up again.
        except Exception:  # noqa: BLE001
            _log.exception("supervisor.not_retired", actor=name)


def missing(desired: Desired, running: Collection[str]) -> list[str]:
    return sorted(desired.actors.keys() - set(running))


def surplus(desired: Desired, running: Collection[str]) -> list[str]:
    return sorted(set(running) - desired.actors.keys())
