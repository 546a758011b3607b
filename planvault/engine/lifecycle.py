"""Opening and ending runs."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from models.commands import Message
from models.events import EventType
from models.ids import RunId
from models.planning import PlanProblem
from models.runs import RunPhase, RunStatus
from models.values import SecretText, Value
from planvault.engine.ahead import abandon
from planvault.engine.recorder import Recorder

MAX_REPLY = 256 * 1024  # characters: it stands in two events


def take_message(rec: Recorder, message: Message, run_id: RunId) -> None:
    """A prompt joins the queue under the id of the run that it will be. It is `queued` where another goes before it."""
    waits = rec.state.run is not None or bool(rec.state.queue)
    message = message.model_copy(update={"run_id": run_id})
    told = message.model_dump(mode="json", by_alias=True, exclude={"text"})
    rec.emit(EventType.PROMPT, {**told, "content": message.text})
    if waits:
        rec.status_of_queued(message, run_id, RunStatus.QUEUED)


def cancel_queued(rec: Recorder, message: Message, reason: str) -> None:
    """The run ends before it began."""
    run_id = message.run_id
    if run_id is None:
        raise AssertionError("a message queued without a run cannot be named")
    rec.status_of_queued(message, run_id, RunStatus.CANCELLED, reason)
    rec.emit(EventType.DONE, {"runId": str(run_id), "status": RunStatus.CANCELLED.value, "reply": None}, of=run_id)


def open_next_run(rec: Recorder, run_id: RunId) -> None:
    """Start the oldest queued message's run, if none is active. In a closed session every queued one ends unrun."""
    if rec.state.closed:
        _cancel_all_queued(rec, run_id)
    elif rec.state.run is None and rec.state.queue:
        run_id = _open(rec, run_id)
        rec.status(RunStatus.PLANNING)
        phase(rec, RunPhase.SELECTING_TOOLS, "Looking for the tools that this prompt needs")
        intend(rec, f"{run_id}:prepare", "prepare", 1)


def _cancel_all_queued(rec: Recorder, run_id: RunId) -> None:
    """A viewer who counts prompts meets as many ends. Their ids follow the one given: its low bits are random."""
    while rec.state.run is None and rec.state.queue:
        _open(rec, run_id)
        cancel(rec, "session closed")
        run_id = RunId(UUID(int=run_id.int + 1))


def _open(rec: Recorder, run_id: RunId) -> RunId:
    """`run_id` is for a message that was queued without one."""
    message = rec.state.queue[0]
    run_id = message.run_id or run_id
    rec.emit(EventType.RUN_OPENED, {"runId": str(run_id), "messageId": str(message.message_id)})
    return run_id


def phase(rec: Recorder, which: RunPhase, detail: str) -> None:
    rec.emit(EventType.RUN_PHASE, {"runId": rec.run.name, "phase": which.value, "detail": detail})


def intend(rec: Recorder, effect_id: str, kind: str, attempt: int, *, ahead: bool = False) -> None:
    """`ahead`: the effect has been on its way under this id since before its turn."""
    payload: dict[str, Any] = {"effectId": effect_id, "kind": kind, "attempt": attempt}
    if ahead:
        payload["ahead"] = True
    rec.emit(EventType.EFFECT_INTENDED, payload)


def complete(rec: Recorder, value: Value) -> None:
    reply = reply_text(value)
    if len(reply) > MAX_REPLY:
        what = f"The reply has {len(reply):,} characters, at most {MAX_REPLY:,} can be shown: reply with a part of it."
        fail(rec, "RESULT_TOO_LARGE", what)
        return
    rec.emit(EventType.LLM_REPLY, {"content": reply, "runId": rec.run.name})
    rec.status(RunStatus.COMPLETED)
    _end(rec, RunStatus.COMPLETED, reply)


def fail(rec: Recorder, code: str, message: str, problems: tuple[PlanProblem, ...] = ()) -> None:
    payload: dict[str, Any] = {"msg": message, "code": code, "runId": rec.run.name}
    if problems:
        payload["problems"] = [problem.model_dump(mode="json") for problem in problems]
    rec.emit(EventType.ERROR, payload)
    rec.status(RunStatus.FAILED, reason=code)
    _end(rec, RunStatus.FAILED, None)


def cancel(rec: Recorder, reason: str) -> None:
    rec.status(RunStatus.CANCELLED, reason=reason)
    _end(rec, RunStatus.CANCELLED, None)


def interrupt(rec: Recorder, reason: str) -> None:
    """Nobody answered in time: neither a fault of the plan nor anybody's wish."""
    rec.status(RunStatus.INTERRUPTED, reason=reason)
    _end(rec, RunStatus.INTERRUPTED, None)


def _end(rec: Recorder, status: RunStatus, reply: str | None) -> None:
    abandon(rec)
    rec.emit(EventType.DONE, {"runId": rec.run.name, "status": status.value, "reply": reply})
    queue = [message.model_dump(mode="json", by_alias=True) for message in rec.state.queue]
    rec.emit(EventType.SNAPSHOT, {"closed": rec.state.closed, "queue": queue})


def reply_text(value: Value) -> str:
    """What a person reads: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, SecretText):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
