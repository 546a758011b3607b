"""Journals as JSON, and what must be true of the state after them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from models.events import SCHEMA_VERSION, Event, EventType, Visibility
from models.ids import RunId
from models.results import Bound, Stored
from planvault.engine.effects import CallTool, Wait, effects
from planvault.engine.evolve import fold
from planvault.engine.state import SessionState
from planvault.engine.upcast import upcast
from tests.unit.engine.story import SCOPE

TESTDATA = Path(__file__).parent / "testdata"


def dump(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {
            "seq": event.seq,
            "type": event.type.value,
            "visibility": event.visibility.value,
            "at": event.at.isoformat(),
            "runId": str(event.run_id) if event.run_id else None,
            "payload": event.payload,
        }
        for event in events
    ]


def folder(version: int) -> Path:
    """Where the journals lie that were recorded under a schema version."""
    return TESTDATA / f"v{version}"


def recorded(version: int) -> list[str]:
    return sorted(path.stem for path in folder(version).glob("*.json"))


def read(rows: list[dict[str, Any]], version: int) -> list[Event]:
    return [
        Event(
            session_id=SCOPE.session_id,
            seq=row["seq"],
            type=EventType(row["type"]),
            visibility=Visibility(row["visibility"]),
            at=datetime.fromisoformat(row["at"]),
            run_id=RunId(UUID(row["runId"])) if row["runId"] else None,
            payload=upcast(EventType(row["type"]), row["payload"], version),
        )
        for row in rows
    ]


def outline(state: SessionState) -> dict[str, Any]:
    """What decides how the session goes on, as JSON. Journals of older versions hold less of it."""
    run = state.run
    return {
        "seq": state.seq,
        "closed": state.closed,
        "queue": [message.text for message in state.queue],
        "status": run.status.value if run else None,
        "planHash": run.plan_hash if run else None,
        "toolCalls": run.tool_calls if run else 0,
        "variables": {name: _value(held) for name, held in run.machine.scope.items()} if run and run.machine else {},
        "recovery": run.recovery.tool if run and run.recovery else None,
        "ahead": {step: [call.attempt, call.outcome is not None] for step, call in run.ahead.items()} if run else {},
        "reauth": run.reauth.tool if run and run.reauth else None,
        "signal": run.signal.name if run and run.signal else None,
        "keptSignals": len(run.kept_signals) if run else 0,
        "votes": [vote.actor for vote in run.question.ballot.votes] if run and run.question else [],
        "ending": run.is_ending if run else False,
        "effects": [_effect(effect) for effect in effects(state) if not isinstance(effect, Wait)],
    }


def _value(held: Bound) -> Any:
    return held.model_dump(mode="json") if isinstance(held, Stored) else held


def _effect(effect: object) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": type(effect).__name__, "id": getattr(effect, "effect_id", "")}
    if isinstance(effect, CallTool):
        shown |= {"args": dict(effect.args), "key": effect.idempotency_key, "attempt": effect.attempt}
    return shown


def state_after(rows: list[dict[str, Any]], version: int = SCHEMA_VERSION) -> SessionState:
    return fold(SessionState(SCOPE), read(rows, version))


@dataclass(frozen=True)
class Golden:
    events: list[dict[str, Any]]
    outline: dict[str, Any]

    @classmethod
    def load(cls, name: str, version: int) -> Golden:
        return cls(**json.loads((folder(version) / f"{name}.json").read_text(encoding="utf-8")))
