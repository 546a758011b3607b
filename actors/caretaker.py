"""The supervisor's process: keeps the actors running, prunes the database and signs audit logs.

Plain; `actors.classes` makes an actor.

Of all caretakers of one Ray cluster one supervises, of all that share a database one prunes: each holds a lease.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from actors.key_keeper import KeyKeeper
from actors.privacy_worker import PrivacyWorker
from actors.supervisor import Desired, Fleet, Supervisor
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.settings import Settings
from planvault.storage.actor_leases import ActorLease, Claimant
from planvault.storage.files.folder import EventFolder
from planvault.storage.pool import Pool, Role, open_pool
from planvault.storage.retention import Retention, rules
from planvault.storage.session_retention import AgedSessions
from planvault.storage.session_store import SessionStore
from planvault.wiring import audit_anchoring

_log = structlog.get_logger(__name__)

LEASE_S = 10.0
_RESTART_S = 1.0
_SWEEP_S = 60.0
_STATEMENT_S = 30.0
_PRUNING = "pruning"


class Caretaker:
    """`cluster`: the Ray cluster that `fleet` is in. `rank`: made when the caretaker was deployed, an id in order of
    time; a later deployment's caretaker takes over from it."""

    def __init__(self, settings: Settings, fleet: Fleet, desired: Desired, *, cluster: str, rank: str) -> None:
        self._settings = settings
        self._fleet = fleet
        self._desired = desired
        self._clock = SystemClock()
        self._cluster = cluster
        # A restarted process is another holder, and waits until its predecessor's lease has run out.
        self._claimant = Claimant(str(TimeOrderedIds().new()), rank)
        self.supervisor: Supervisor | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._serve()
            # The process must outlive a lost database and our own mistakes; the cause is in the log.
            except Exception:  # noqa: BLE001
                _log.exception("caretaker.interrupted")
            await asyncio.sleep(_RESTART_S)

    async def _serve(self) -> None:
        url = self._settings.platform_url
        async with await open_pool(
            url, name="caretaker", maximum=3, command_timeout_s=_STATEMENT_S, role=Role.PLATFORM
        ) as pool:
            duties = [self._lease(pool, f"supervisor/{self._cluster}"), self._lease(pool, _PRUNING)]
            self.supervisor = Supervisor(self._fleet, self._desired, duties[0])
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.supervisor.run())
                    tasks.create_task(self._prune(pool, duties[1]))
                    tasks.create_task(KeyKeeper(self._settings).run())
                    tasks.create_task(PrivacyWorker(self._settings).run())
            finally:
                for duty in duties:
                    await _give_up(duty)

    def _lease(self, pool: Pool, name: str) -> ActorLease:
        return ActorLease(pool, name, self._claimant, self._clock, LEASE_S)

    async def _prune(self, pool: Pool, duty: ActorLease) -> None:
        recording = timedelta(hours=self._settings.recording_hours)
        files = SessionStore(self._settings.events_folder).prunings(recording)
        kept = timedelta(days=self._settings.occurrence_days)
        folder = self._settings.events_folder
        aged = AgedSessions(None if folder is None else EventFolder(folder))
        every = (*rules(recording, files, occurrences=kept), aged, audit_anchoring(self._settings, pool))
        retention = Retention(pool, every, self._clock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_keep(duty))
            tasks.create_task(self._sweep(retention, duty))

    async def _sweep(self, retention: Retention, duty: ActorLease) -> None:
        while True:
            try:
                if duty.holds:
                    await retention.sweep(lambda: duty.holds)
            # What was not pruned now is older at the next sweep.
            except Exception:  # noqa: BLE001
                _log.exception("retention.sweep_failed")
            await asyncio.sleep(_SWEEP_S)


async def _give_up(duty: ActorLease) -> None:
    try:
        await duty.give_up()
    # The lease runs out by itself.
    except Exception as fault:  # noqa: BLE001
        _log.warning("duty.not_given_up", cause=repr(fault))


async def _keep(duty: ActorLease) -> None:
    while True:
        try:
            await duty.hold()
        # The lease runs out by itself, and another takes the duty.
        except Exception as fault:  # noqa: BLE001
            _log.warning("duty.not_held", cause=repr(fault))
        await asyncio.sleep(LEASE_S / 4)
