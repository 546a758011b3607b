"""Collects the events of one decision, folding each into the state, so that the next rule sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.audit import AuditAction, AuditRow
from models.base import JsonObject
from models.commands import Action, Command, CommandKind, Message
from models.events import Event, EventType, Visibility
from models.ids import BlobId, CommandId, RunId
from models.runs import RunStatus
from models.tools import ToolFailed, ToolSucceeded
from planvault.engine.audit_ids import audit_id
from planvault.engine.evolve import FOLDED, evolve
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
        EventType.QUESTION_ASKED,
        EventType.WAIT_BEGUN,
        EventType.SIGNAL_KEPT,
        EventType.CREDENTIALS_CHANGED,
        EventType.DEADLINE_PASSED,
        EventType.SLOTS_FILLED,
        EventType.CANCEL_REQUESTED,
        EventType.COMMAND_REFUSED,
        EventType.SESSION_CLOSED,
        EventType.SNAPSHOT,
    }
)


# What people do at a session's actions; the others come from timers, callbacks and the session itself.
_VISIBLE = frozenset(CommandKind) - {
    CommandKind.MESSAGE,
    CommandKind.CLOSE,
    CommandKind.SIGNAL,
    CommandKind.CREDENTIALS_CHANGED,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What one input leads to. Written whole, or not at all; `state` counts once it is."""

    state: SessionState
    events: tuple[Event, ...] = ()
    consumed: tuple[CommandId, ...] = ()
    runs: tuple[RunRow, ...] = ()
    wakes: tuple[RunWake, ...] = ()  # of runs that are not in `runs`
    blobs: tuple[BlobId, ...] = ()  # that these events are the first to reference
    audits: tuple[AuditRow, ...] = ()


class Recorder:
    def __init__(self, state: SessionState, now: datetime) -> None:
        self.state = state
        self.now = now
        self._seq_before = self._seq = state.seq
        self._wake_before = wake_at(state)
        self._events: list[Event] = []
        self._rows: dict[RunId, RunRow] = {}
        self._consumed: list[CommandId] = []
        self._blobs: list[BlobId] = []
        self._audits: list[AuditRow] = []

    @property
    def run(self) -> RunState:
        if self.state.run is None:
            raise AssertionError("there is no run here")
        return self.state.run

    def emit(self, type_: EventType, payload: dict[str, Any], *, of: RunId | None = None) -> None:
        """Append one event, by default of the active run. Payloads are JSON made here, and not validated again."""
        run_id = self.state.run.run_id if of is None and self.state.run is not None else of
        self._seq += 1
        event = Event(
            session_id=self.state.scope.session_id,
            seq=self._seq,
            type=type_,
            visibility=Visibility.ENGINE if type_ in _ENGINE else Visibility.HISTORY,
            at=self.now,
            run_id=run_id,
            payload=payload,
        )
        self._events.append(event)
        if type_ in FOLDED:  # the others move nothing but `seq`, which the decision sets
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
        payload: dict[str, Any] = {"runId": run.name, "status": status.value}
        if reason is not None:
            payload["reason"] = reason
        if expires_at is not None:
            payload["expiresAt"] = expires_at.isoformat()
            pending = {**(pending or {}), "expiresAt": expires_at.isoformat()}
        self._rows[run.run_id] = RunRow(run.run_id, status, run.plan_hash, pending, reason, message_id=run.message_id)
        self.emit(EventType.RUN_STATUS, payload)

    def status_of_queued(self, message: Message, run_id: RunId, status: RunStatus, reason: str | None = None) -> None:
        """The same for a run that waits behind the active one."""
        payload: dict[str, Any] = {"runId": str(run_id), "status": status.value}
        if reason is not None:
            payload["reason"] = reason
        self._rows[run_id] = RunRow(run_id, status, None, None, reason, message_id=message.message_id)
        self.emit(EventType.RUN_STATUS, payload, of=run_id)

    def show(self, pending: JsonObject | None) -> None:
        """What the run stands before, in the read model: its status stays as it is."""
        run = self.run
        self._rows[run.run_id] = RunRow(run.run_id, run.status, run.plan_hash, pending, None, message_id=run.message_id)

    def consume(self, command: Command) -> None:
        self._consumed.append(command.id)

    def keep(self, blob_id: BlobId) -> None:
        """An event references the blob: it is written before, and belongs to the record from the same commit on."""
        self._blobs.append(blob_id)

    def repend(self, pending: JsonObject) -> None:
        """The open question stands, and what the run's row says of it changes."""
        run = self.run
        if run.expires_at is not None:
            pending = {**pending, "expiresAt": run.expires_at.isoformat()}
        self._rows[run.run_id] = RunRow(run.run_id, run.status, run.plan_hash, pending, None, message_id=run.message_id)

    def audit(self, action: AuditAction, details: dict[str, Any]) -> None:
        """One row of the audit log, written with this decision's events or not at all. `details` names the `actor`."""
        scope, run = self.state.scope, self.state.run
        row = AuditRow(
            id=audit_id(scope.session_id, self._seq_before, len(self._audits), self.now),
            at=self.now,
            action=action,
            details=details,
            project_id=scope.project_id,
            session_id=scope.session_id,
            run_id=None if run is None else run.run_id,
        )
        self._audits.append(row)

    def refuse(self, command: Command, why: str, code: str = "NOT_APPLICABLE") -> None:
        """Nothing follows from the command; the record says why, and people see what became of their action."""
        told = {"commandId": str(command.id), "kind": command.kind.value, "why": why}
        if not isinstance(command.payload, Action) or command.kind not in _VISIBLE:
            self.emit(EventType.COMMAND_REFUSED, told)
            return
        action = command.payload
        run_id = None if action.run_id is None else str(action.run_id)
        refused: dict[str, Any] = {
            "runId": run_id,
            "action": command.kind.value,
            "actor": action.actor,
            "code": code,
            "why": why,
            **({"proven": True} if action.proven else {}),
        }
        self.emit(EventType.ACTION_REFUSED, {**refused, "commandId": str(command.id)})
        self.audit(AuditAction.ACTION_REFUSED, refused)

    def decision(self) -> Decision:
        """All that was collected; the active run's row says when it is due."""
        state = self.state if self.state.seq == self._seq else replace(self.state, seq=self._seq)
        run, wake = state.run, wake_at(state)
        wakes: tuple[RunWake, ...] = ()
        if run is not None and run.run_id in self._rows:
            self._rows[run.run_id] = replace(self._rows[run.run_id], wake_at=wake)
        elif run is not None and wake != self._wake_before:
            wakes = (RunWake(run.run_id, wake),)
        return Decision(
            state,
            tuple(self._events),
            tuple(self._consumed),
            tuple(self._rows.values()),
            wakes,
            tuple(self._blobs),
            tuple(self._audits),
        )


def keep_result(rec: Recorder, outcome: ToolSucceeded | ToolFailed) -> None:
    """The record references the blob of a large result, if it has one."""
    if isinstance(outcome, ToolSucceeded) and outcome.stored is not None:
        rec.keep(outcome.stored.blob_id)
