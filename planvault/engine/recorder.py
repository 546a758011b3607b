"""Collects the events of one decision, folding each into the state, so that the next rule sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.base import JsonObject
from models.commands import Command
from models.events import Event, EventType, Visibility
from models.ids import BlobId, CommandId, RunId
from models.runs import RunStatus
from planvault.engine.evolve import evolve
from planvault.engine.state import RunState, SessionState
from planvault.engine.timers import wake_at
from planvault.ports import RunRow, RunWake

_ENGINE = frozenset(
    {
        EventType.RUN_OPENED,
        EventType.EFFECT_INTENDED,
        EventType.EFFECT_RECORDED,
        EventType.AHEAD_INTENDED,
        EventType.AHEAD_RECORDED,
        EventType.SLOTS_FILLED,
        EventType.CANCEL_REQUESTED,
        EventType.COMMAND_REFUSED,
        EventType.SESSION_CLOSED,
        EventType.SNAPSHOT,
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one input leads to. Written whole, or not at all; `state` counts once it is."""

    state: SessionState
    events: tuple[Event, ...] = ()
    consumed: tuple[CommandId, ...] = ()
    runs: tuple[RunRow, ...] = ()
    wakes: tuple[RunWake, ...] = ()  # of runs that are not in `runs`
    blobs: tuple[BlobId, ...] = ()  # that these events are the first to reference


class Recorder:
    def __init__(self, state: SessionState, now: datetime) -> None:
        self.state = state
        self.now = now
        self._wake_before = wake_at(state)
        self._events: list[Event] = []
        self._rows: dict[RunId, RunRow] = {}
        self._consumed: list[CommandId] = []
        self._blobs: list[BlobId] = []

    @property
    def run(self) -> RunState:
        if self.state.run is None:
            raise AssertionError("there is no run here")
        return self.state.run

    def emit(self, type_: EventType, payload: dict[str, Any]) -> None:
        """Append one event. Payloads are JSON made by this package, so they are not validated again."""
        run_id = self.state.run.run_id if self.state.run is not None else None
        event = Event(
            session_id=self.state.scope.session_id,
            seq=self.state.seq + 1,
            type=type_,
            visibility=Visibility.ENGINE if type_ in _ENGINE else Visibility.HISTORY,
            at=self.now,
            run_id=run_id,
            payload=payload,
        )
        self._events.append(event)
        self.state = evolve(self.state, event)

    def status(
        self,
        status: RunStatus,
        *,
        pending: JsonObject | None = None,
        reason: str | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Move the run to a status, in the record and in the read model.

        `expires_at`: when the question of a waiting run is no longer asked; the run is `interrupted` then.
        """
        run = self.run
        payload: dict[str, Any] = {"runId": str(run.run_id), "status": status.value}
        if reason is not None:
            payload["reason"] = reason
        if expires_at is not None:
            payload["expiresAt"] = expires_at.isoformat()
            pending = {**(pending or {}), "expiresAt": expires_at.isoformat()}
        self._rows[run.run_id] = RunRow(run.run_id, status, run.plan_hash, pending, reason, message_id=run.message_id)
        self.emit(EventType.RUN_STATUS, payload)

    def consume(self, command: Command) -> None:
        self._consumed.append(command.id)

    def keep(self, blob_id: BlobId) -> None:
        """An event references the blob: it is written before, and belongs to the record from the same commit on."""
        self._blobs.append(blob_id)

    def refuse(self, command: Command, why: str) -> None:
        """Nothing follows from the command; the record says why."""
        self.emit(EventType.COMMAND_REFUSED, {"commandId": str(command.id), "kind": command.kind.value, "why": why})

    def decision(self) -> Decision:
        """All that was collected; the active run's row says when it is due."""
        run, wake = self.state.run, wake_at(self.state)
        wakes: tuple[RunWake, ...] = ()
        if run is not None and run.run_id in self._rows:
            self._rows[run.run_id] = replace(self._rows[run.run_id], wake_at=wake)
        elif run is not None and wake != self._wake_before:
            wakes = (RunWake(run.run_id, wake),)
        return Decision(
            self.state,
            tuple(self._events),
            tuple(self._consumed),
            tuple(self._rows.values()),
            wakes,
            tuple(self._blobs),
        )
