"""Journals as JSON, and what must be true of the state after them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from models.commands import CommandKind
from models.events import SCHEMA_VERSION, Event, EventType, Visibility
from models.ids import RunId
from models.plans import Slot, SlotType
from models.policies import PlanApprovalMode
from models.tools import Idempotency, ToolCallFailure, ToolFailed
from planvault.engine.effects import CallTool, Wait, effects
from planvault.engine.evolve import fold
from planvault.engine.state import SessionState
from planvault.engine.upcast import upcast
from tests.unit.engine.plans import LOOP, TWO_CALLS, plan, reply, var
from tests.unit.engine.story import SCOPE, Story, facts

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
    """What decides how the session goes on, as JSON."""
    run = state.run
    return {
        "seq": state.seq,
        "closed": state.closed,
        "queue": [message.text for message in state.queue],
        "status": run.status.value if run else None,
        "planHash": run.plan_hash if run else None,
        "toolCalls": run.tool_calls if run else 0,
        "variables": dict(run.machine.scope) if run and run.machine else {},
        "recovery": run.recovery.tool if run and run.recovery else None,
        "effects": [_effect(effect) for effect in effects(state) if not isinstance(effect, Wait)],
    }


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


# ── the runs that were recorded ──────────────────────────────────────────────────────────────────────────────────────


def _before_second_call() -> Story:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send", Idempotency.NONE))
    story.answers({"email": "ada@example.com"})
    return story


def _inside_a_loop() -> Story:
    story = Story()
    story.begin(LOOP, facts("get"), facts("send"))
    story.answers([{"id": 1, "total": 5}, {"id": 2, "total": 50}, {"id": 3, "total": 60}])
    story.answers(None)
    return story


def _waiting_for_approval_with_slots() -> Story:
    story = Story()
    slots = (Slot(variable="count", prompt="How many?", type=SlotType.INTEGER),)
    asks = plan(*TWO_CALLS.body[:1], reply(var("count")), slots=slots)
    story.begin(asks, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE)
    story.acts(CommandKind.FILL_SLOTS, values={"count": "3"})
    story.says("and another")
    return story


def _lost_call() -> Story:
    story = _before_second_call()
    story.fails(ToolFailed(failure=ToolCallFailure.UNKNOWN, code="CONNECTION_LOST", message="dropped"))
    return story


def _finished() -> Story:
    story = _before_second_call()
    story.answers(None)
    story.acts(CommandKind.CLOSE)
    return story


RECORDED: Mapping[str, Callable[[], Story]] = {
    "before_second_call": _before_second_call,
    "inside_a_loop": _inside_a_loop,
    "waiting_for_approval_with_slots": _waiting_for_approval_with_slots,
    "lost_call": _lost_call,
    "finished": _finished,
}
