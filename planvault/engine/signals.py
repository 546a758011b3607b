"""Signals from outside: kept when they come early, taken when they are waited for, given up when their time is over.

Whether one came before its time was over is decided by the order of commits on its token's row: the callback marks it
delivered in one transaction with its command, the host marks it expired. The engine asks for the latter as an effect,
and believes the answer (docs/pauses.md).
"""

from __future__ import annotations

from models.commands import Command, Signal
from models.events import EventType
from models.plans import OnError
from models.runs import RunStatus
from models.tools import ToolCallFailure, ToolFailed
from planvault.engine.calls import called, follow, record
from planvault.engine.effects import call_effect_id
from planvault.engine.lifecycle import fail, intend
from planvault.engine.pauses import OnTimeout, SignalClosed
from planvault.engine.recorder import Recorder
from planvault.engine.rules import standing
from planvault.engine.waiting import take_kept, waits_for_signal


def arrived(rec: Recorder, command: Command, signal: Signal) -> None:
    """A delivery: of the token's row, so it comes once."""
    run = rec.state.run
    if run is None or run.run_id != signal.run_id:
        rec.refuse(command, f"run {signal.run_id} is not the active one")
        return
    rec.emit(
        EventType.SIGNAL_KEPT,
        {"runId": run.name, "tokenId": str(signal.token_id), "payload": signal.payload},
    )
    if run.status is RunStatus.AWAITING_EXTERNAL_SIGNAL:
        _take_if_there(rec)


def spoiled(rec: Recorder, signal: Signal, why: str) -> None:
    """A delivery that the run cannot go on with. Its token takes no other one, so the run would wait for ever."""
    run = rec.state.run
    if run is None or run.run_id != signal.run_id or run.status is not RunStatus.AWAITING_EXTERNAL_SIGNAL:
        return
    if run.signal is not None and run.signal.token_id == signal.token_id:
        fail(rec, "RESULT_UNUSABLE", f"The signal {run.signal.name!r} came: {why}")


def opened(rec: Recorder) -> None:
    """The token is known outside. The signal may have come in this very moment."""
    rec.emit(EventType.EFFECT_RECORDED, {"effectId": _effect(rec), "kind": "open_signal"})
    run = rec.run
    if run.signal is not None and run.signal.token_id in run.kept_signals:
        called(rec, take_kept(rec))
    else:
        waits_for_signal(rec)


def close(rec: Recorder) -> None:
    """The time is over by our clock: ask the token's row."""
    intend(rec, f"{call_effect_id(rec.run)}:close", "close_signal", rec.run.attempt)


def closed(rec: Recorder, result: SignalClosed) -> None:
    rec.emit(
        EventType.EFFECT_RECORDED, {"effectId": _effect(rec), "kind": "close_signal", "delivered": result.delivered}
    )
    if result.delivered:
        return  # its command is in the inbox
    wait = rec.run.signal
    if wait is None:
        raise AssertionError("a signal was closed that nobody waits for")
    rec.emit(
        EventType.SIGNAL_TIMED_OUT,
        {
            "runId": rec.run.name,
            "tokenId": str(wait.token_id),
            "name": wait.name,
            "nodeId": wait.node_id,
            "policy": wait.on_timeout.value,
        },
    )
    message = f"The signal {wait.name!r} did not come until {wait.expires_at.isoformat()}."
    outcome = ToolFailed(failure=ToolCallFailure.ANSWERED, code="SIGNAL_TIMED_OUT", message=message)
    goes_on = wait.on_timeout is OnTimeout.CONTINUE or standing(rec.run).node.on_error is OnError.CONTINUE
    if goes_on:
        record(rec, outcome, {"next": "settle"})
        rec.status(RunStatus.EXECUTING)
    else:
        record(rec, outcome, {"next": "fail", "code": outcome.code, "message": message})
    follow(rec)


def _take_if_there(rec: Recorder) -> None:
    run = rec.run
    if run.signal is None or run.signal.token_id not in run.kept_signals:
        return
    answer = take_kept(rec)
    rec.status(RunStatus.EXECUTING)
    called(rec, answer)


def _effect(rec: Recorder) -> str:
    intent = rec.run.intent
    if intent is None:
        raise AssertionError("an effect was done that was not intended")
    return intent.effect_id
