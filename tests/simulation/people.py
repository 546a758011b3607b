"""Everybody who says something to a session: sensibly, or not at all so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from uuid import UUID

from models.commands import Action, Command, CommandKind, Message, Resolution, Signal
from models.ids import CommandId, MessageId, RunId, TokenId
from models.runs import RunStatus
from planvault.engine.pauses import SignalWait
from planvault.engine.state import SessionState
from planvault.ports import RunRow
from tests.unit.engine.story import SCOPE

Rows = Mapping[RunId, RunRow]
_OPERATORS = ("ann", "bob", "cid")
_RESULT = {"n": 1, "items": [], "ok": True}


class People:
    """`opened` are the signals that the outside knows of: each is delivered once at most."""

    def __init__(self, rng: Random, fresh: Callable[[], UUID]) -> None:
        self._rng = rng
        self._fresh = fresh
        self.opened: dict[TokenId, tuple[RunId, SignalWait]] = {}
        self.delivered: set[TokenId] = set()

    def prompt(self) -> Command:
        message = Message(message_id=MessageId(self._fresh()), text="do it", actor="key", operator="ann")
        return self._command(CommandKind.MESSAGE, message)

    def anything(self, state: SessionState, rows: Rows) -> Command:
        """Whatever may be said at any time."""
        match self._rng.choices(_SAID, _WEIGHTS)[0]:
            case CommandKind.MESSAGE:
                return self.prompt()
            case CommandKind.SIGNAL:
                return self._signal() or self.prompt()
            case CommandKind.CANCEL:
                return self._act(CommandKind.CANCEL, run_id=self._some_run(state))
            case CommandKind.RESOLVE:
                return self._resolve()
            case kind:
                sensible = self.answer(state, rows) if self._rng.random() < 0.7 else None
                return sensible or self._act(kind, values={"s1": "x"}, correlation_id="another")

    def answer(self, state: SessionState, rows: Rows) -> Command | None:
        """What the run waits for; None where nobody is asked."""
        run = state.run
        pending: Mapping[str, Any] = {}
        if run is not None and run.run_id in rows:
            pending = rows[run.run_id].pending or {}
        match run.status if run is not None else None:
            case RunStatus.AWAITING_CONFIRMATION:
                return self._vote(pending)
            case RunStatus.AWAITING_SLOTS:
                kind = CommandKind.FILL_SLOTS if self._rng.random() < 0.9 else CommandKind.CANCEL_SLOTS
                return self._act(kind, values={"s1": 3})
            case RunStatus.NEEDS_MANUAL_RECOVERY:
                return self._resolve()
            case RunStatus.AWAITING_REAUTH:
                return self._act(CommandKind.CREDENTIALS_CHANGED) if self._rng.random() < 0.5 else self._resolve()
            case RunStatus.AWAITING_EXTERNAL_SIGNAL:
                return self._signal()
            case _:
                return None

    def closes(self, token_id: TokenId) -> bool:
        """Nothing is delivered from now on; whether it was before."""
        self.opened.pop(token_id, None)
        return token_id in self.delivered

    def _vote(self, pending: Mapping[str, Any]) -> Command:
        rejects = self._rng.random() < 0.15
        operator = self._rng.choice(_OPERATORS)
        if pending.get("kind") == "tool":
            kind = CommandKind.REJECT_TOOL if rejects else CommandKind.APPROVE_TOOL
            return self._act(kind, operator=operator, correlation_id=pending["correlationId"])
        kind = CommandKind.REJECT if rejects else CommandKind.APPROVE
        return self._act(kind, operator=operator, plan_hash=self._rng.choice([None, pending.get("planHash")]))

    def _resolve(self) -> Command:
        return self._act(CommandKind.RESOLVE, resolution=self._rng.choice(list(Resolution)), result=_RESULT)

    def _signal(self) -> Command | None:
        if not self.opened:
            return None
        token_id = self._rng.choice(sorted(self.opened))
        run_id, _ = self.opened.pop(token_id)
        self.delivered.add(token_id)
        payload = Signal(run_id=run_id, token_id=token_id, payload={"n": self._rng.randint(0, 9), "items": []})
        return self._command(CommandKind.SIGNAL, payload)

    def _some_run(self, state: SessionState) -> RunId | None:
        queued = [message.run_id for message in state.queue if message.run_id is not None]
        return self._rng.choice([None, *queued])

    def _act(self, kind: CommandKind, **fields: Any) -> Command:
        return self._command(kind, Action(actor="somebody", **fields))

    def _command(self, kind: CommandKind, payload: Message | Action | Signal) -> Command:
        command_id = self._fresh()
        return Command(
            id=CommandId(command_id),
            org_id=SCOPE.org_id,
            session_id=SCOPE.session_id,
            seq=command_id.int,
            kind=kind,
            payload=payload,
        )


_CHANCES: Mapping[CommandKind, int] = {
    CommandKind.MESSAGE: 10,
    CommandKind.CANCEL: 8,
    CommandKind.CLOSE: 2,
    CommandKind.RESOLVE: 8,
    CommandKind.SIGNAL: 6,
    CommandKind.APPROVE: 6,
    CommandKind.REJECT: 2,
    CommandKind.APPROVE_TOOL: 6,
    CommandKind.REJECT_TOOL: 2,
    CommandKind.FILL_SLOTS: 4,
    CommandKind.CANCEL_SLOTS: 1,
    CommandKind.CREDENTIALS_CHANGED: 4,
}
_SAID, _WEIGHTS = list(_CHANCES), list(_CHANCES.values())
