"""Begins the waits that a plan asks for: `wait_for_signal` and `sleep`. They are calls to read, but no effects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from models.events import EventType
from models.runs import RunStatus
from models.tools import ToolCallFailure, ToolFailed, ToolSucceeded
from models.values import Value
from planvault.engine.effects import call_effect_id
from planvault.engine.lifecycle import intend
from planvault.engine.machine import CallReady
from planvault.engine.pauses import ENGINE_TOOLS, SLEEP, OnTimeout
from planvault.engine.recorder import Recorder
from planvault.engine.timers import wall_clock_end
from planvault.engine.tokens import MAX_NAME, token_of

Answer: TypeAlias = ToolSucceeded | ToolFailed
DEFAULT_TIMEOUT_S = 86_400.0
MAX_TIMEOUT_S = 30 * 86_400.0


class _Refused(Exception):
    """The arguments make no wait; the text says what they must be."""


def is_wait(rec: Recorder, stop: CallReady) -> bool:
    return rec.run.facts[stop.node.tool].native in ENGINE_TOOLS


def begin_wait(rec: Recorder, stop: CallReady) -> Answer | None:
    """The call's answer where it has one at once: a signal that came early, a fault. None: the run waits."""
    sleeps = rec.run.facts[stop.node.tool].native == SLEEP
    try:
        begun = _sleep(rec, stop) if sleeps else _signal(rec, stop)
    except _Refused as refused:
        return _begin(rec, stop, {"kind": "refused"}, _rejected(str(refused)))
    return begun


def _sleep(rec: Recorder, stop: CallReady) -> Answer | None:
    until = rec.now + _seconds(stop.args.get("seconds"), "seconds", 0.0, MAX_TIMEOUT_S)
    end = wall_clock_end(rec.run)
    if end is not None and until > end:
        raise _Refused(f"the run may last until {end.isoformat()}, a sleep until {until.isoformat()} would not end")
    _begin(rec, stop, {"kind": "timer", "until": until.isoformat()})
    rec.show({"kind": "timer", "nodeId": stop.node.id, "until": until.isoformat()})
    return None


def _signal(rec: Recorder, stop: CallReady) -> Answer | None:
    run, name = rec.run, _name(stop.args)
    token_id = token_of(run.run_id, name)
    if token_id in run.used_signals:
        raise _Refused(f"this run has waited for {name!r} already; every wait of a run has a name of its own")
    wait = {
        "kind": "signal",
        "tokenId": str(token_id),
        "name": name,
        "expiresAt": (rec.now + _timeout(stop.args)).isoformat(),
        "onTimeout": _on_timeout(stop.args).value,
    }
    _begin(rec, stop, wait)
    if token_id in run.kept_signals:
        return take_kept(rec)
    intend(rec, f"{call_effect_id(rec.run)}:open", "open_signal", 1)
    return None


def take_kept(rec: Recorder) -> ToolSucceeded:
    """The signal that the run waits for is there: say so, and give its payload."""
    run = rec.run
    if run.signal is None:
        raise AssertionError("the run waits for no signal")
    payload = run.kept_signals[run.signal.token_id]
    rec.emit(
        EventType.SIGNAL_RECEIVED,
        {
            "runId": run.name,
            "tokenId": str(run.signal.token_id),
            "name": run.signal.name,
            "nodeId": run.signal.node_id,
            "payloadKeys": sorted(payload),
        },
    )
    return ToolSucceeded(value=payload)


def _begin(rec: Recorder, stop: CallReady, wait: Mapping[str, Any], answer: Answer | None = None) -> Answer | None:
    rec.emit(EventType.WAIT_BEGUN, {"nodeId": stop.node.id, **wait})
    rec.emit(
        EventType.TOOL_START,
        {"runId": rec.run.name, "tool": stop.node.tool, "nodeId": stop.node.id, "attempt": 1},
    )
    return answer


def waits_for_signal(rec: Recorder) -> None:
    """The token is known outside: from here on the run costs a row."""
    run = rec.run
    if run.signal is None:
        raise AssertionError("the run waits for no signal")
    wait = {
        "tokenId": str(run.signal.token_id),
        "name": run.signal.name,
        "nodeId": run.signal.node_id,
        "expiresAt": run.signal.expires_at.isoformat(),
        "onTimeout": run.signal.on_timeout.value,
    }
    rec.emit(EventType.AWAITING_SIGNAL, {"runId": run.name, **wait})
    rec.status(RunStatus.AWAITING_EXTERNAL_SIGNAL, pending={"kind": "signal", **wait})


# ── arguments ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _name(args: Mapping[str, Value]) -> str:
    name = args.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise _Refused(f"name is a text of 1 to {MAX_NAME} printable characters")
    return name


def _timeout(args: Mapping[str, Value]) -> timedelta:
    given = args.get("timeoutSeconds")
    return _seconds(DEFAULT_TIMEOUT_S if given is None else given, "timeoutSeconds", 1.0, MAX_TIMEOUT_S)


def _on_timeout(args: Mapping[str, Value]) -> OnTimeout:
    given = args.get("onTimeout")
    if given is None:
        return OnTimeout.FAIL
    if not isinstance(given, str) or given not in set(OnTimeout):
        raise _Refused("onTimeout is " + " or ".join(OnTimeout))
    return OnTimeout(given)


def _seconds(given: Value, name: str, least: float, most: float) -> timedelta:
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given <= most:
        raise _Refused(f"{name} is a number from {least:g} to {most:g}")
    return timedelta(seconds=given)


def _rejected(message: str) -> ToolFailed:
    return ToolFailed(failure=ToolCallFailure.REJECTED, code="INVALID_ARGUMENTS", message=message)
