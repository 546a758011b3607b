"""What the session needs from outside, read off its state. Running one is the runtime's business."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from models.ids import RunId
from models.policies import RunLimits
from models.results import FragmentQuery
from models.values import Value
from planvault.engine.machine import CallReady, FragmentReady, step_of
from planvault.engine.pauses import CloseSignal, OpenSignal
from planvault.engine.state import Intent, RunState, SessionState, ToolPin
from planvault.engine.timers import next_timer


@dataclass(frozen=True, slots=True)
class Prepare:
    """Select tools for the prompt and read the policy."""

    effect_id: str
    prompt: str


@dataclass(frozen=True, slots=True)
class MakePlan:
    effect_id: str
    prompt: str
    pins: tuple[ToolPin, ...]
    started_at: datetime
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class CallTool:
    """One attempt of one call. `idempotency_key` is the same for every attempt of the step."""

    effect_id: str
    pin: ToolPin
    args: Mapping[str, Value]
    idempotency_key: str
    attempt: int
    limits: RunLimits


@dataclass(frozen=True, slots=True)
class Fragment:
    """What the plan makes of stored values. Asking again is harmless."""

    effect_id: str
    query: FragmentQuery


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until then, then TimerFired."""

    effect_id: str
    until: datetime


Effect: TypeAlias = Prepare | MakePlan | CallTool | Fragment | OpenSignal | CloseSignal | Wait


def effects(state: SessionState) -> tuple[Effect, ...]:
    """The effects outstanding now. Each has its intent in the record already, a Wait needs none: at most one, last."""
    run = state.run
    if run is None:
        return ()
    due = next_timer(state)
    wait = () if due is None else (Wait(f"{run.name}:wait", due),)
    return (*_in_flight(run), *wait)


def _in_flight(run: RunState) -> tuple[Effect, ...]:
    if run.intent is None:
        return _ahead(run)
    match run.intent.kind:
        case "prepare":
            return (Prepare(run.intent.effect_id, run.prompt),)
        case "plan":
            return (MakePlan(run.intent.effect_id, run.prompt, run.pins, run.started_at, run.instruction),)
        case "fragment":
            return (_fragment(run, run.intent.effect_id), *_ahead(run))
        case "open_signal" | "close_signal":
            return (_of_signal(run, run.intent),)
        case _:
            return (_head(run, run.intent), *_ahead(run))


def _of_signal(run: RunState, intent: Intent) -> OpenSignal | CloseSignal:
    if run.signal is None:
        raise AssertionError("a signal's effect is intended only where the run waits for it")
    if intent.kind == "open_signal":
        return OpenSignal(intent.effect_id, run.run_id, run.signal)
    return CloseSignal(intent.effect_id, run.run_id, run.signal.token_id)


def _fragment(run: RunState, effect_id: str) -> Fragment:
    if not isinstance(run.stop, FragmentReady):
        raise AssertionError("a fragment is intended only where the machine asks for one")
    return Fragment(effect_id, run.stop.query)


def _head(run: RunState, intent: Intent) -> CallTool:
    if not isinstance(run.stop, CallReady):
        raise AssertionError("a call is intended only where the machine stands before one")
    return _call(run, run.stop, intent.effect_id, intent.attempt)


def _ahead(run: RunState) -> tuple[CallTool, ...]:
    """Reads in flight before their turn."""
    if not run.ahead:
        return ()
    waiting = [step for step in run.ahead.values() if step.outcome is None]
    return tuple(_call(run, step.call, step.effect_id, step.attempt) for step in waiting)


def _call(run: RunState, stop: CallReady, effect_id: str, attempt: int) -> CallTool:
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    return CallTool(
        effect_id=effect_id,
        pin=run.facts[stop.node.tool].pin,
        args=stop.args,
        idempotency_key=idempotency_key(run.run_id, stop.node.id, stop.iteration),
        attempt=attempt,
        limits=run.settings.limits,
    )


def call_effect_id(run: RunState) -> str:
    """Names the step that the machine stands before; attempts are numbered behind it."""
    stop = run.stop
    if not isinstance(stop, CallReady):
        raise AssertionError("the machine does not stand before a call")
    return f"{run.name}:{step_of(stop.node, stop.iteration)}"


def idempotency_key(run_id: RunId, node_id: str, iteration: str) -> str:
    """The same for every attempt of a step, and for no other step: SHA-256, hex."""
    return hashlib.sha256(f"{run_id}|{node_id}|{iteration}".encode()).hexdigest()
