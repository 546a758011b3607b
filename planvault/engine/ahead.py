"""Reads that are made before their turn (X8): intent, result, and what becomes of both.

The machine stays sequential. While it waits for a read, reads further on are begun under intents of their own; their
results are kept until the machine comes to stand before them, and only then do they count: limits, `tool_start`,
`tool_end`, retries and the error policy follow in plan order, as if each call had just been made (docs/concurrency.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.events import EventType
from models.tools import ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.machine import CallReady, step_of
from planvault.engine.outcomes import dump
from planvault.engine.recorder import Recorder, keep_result
from planvault.engine.rules import counts_calls, has_rules, verdict
from planvault.engine.scout import find_reads
from planvault.engine.state import AheadCall, RunState
from planvault.policy.runtime_rules import Allow

_REFILL = 4  # the share of what may be in flight that is begun at once
_KEPT = 2  # calls begun and not used yet, in multiples of those in flight: a slow one does not stop the others at once


def look_ahead(rec: Recorder) -> None:
    """Begin as many reads as there is room for, while the machine stands before one that is in flight."""
    run = rec.state.run
    if run is None:
        return
    if run.ahead and run.asked_at is not None:
        abandon(rec)  # the run waits for somebody: until it goes on, everything read by now will be too old
    if not _may_look(run):
        return
    room = _room(run)
    found = _find(run, room) if room > 0 else ()
    if found:
        _intend(rec, [(call, 1) for call in found])


def _may_look(run: RunState) -> bool:
    return (
        run.intent is not None
        and isinstance(run.stop, CallReady)
        and run.stop.node.id in run.overlapping
        and not run.is_ending
    )


def _room(run: RunState) -> int:
    """How many reads may be begun: within the bounds of the run, every one of them counted as if its turn had come.

    None before a quarter of what may be in flight is free: a walk for each result would look at the others every time.
    """
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    limits = run.settings.limits
    most, begun = limits.max_parallel_calls, len(run.ahead)
    in_flight = 1 + sum(step.outcome is None for step in run.ahead.values())
    if most - in_flight < most // _REFILL:
        return 0
    return min(most - in_flight, _KEPT * most - 1 - begun, limits.max_tool_calls - run.tool_calls - begun)


def _find(run: RunState, room: int) -> tuple[CallReady, ...]:
    """Nothing that a rule denies or asks about is made before its turn, and nothing behind it.

    How many calls come before a call is known in its turn only: where a rule counts them, each waits for its turn.
    """
    if not has_rules(run):
        return find_reads(run, lambda call: True, room)
    if counts_calls(run):
        return ()
    return find_reads(run, lambda call: isinstance(verdict(run, call), Allow), room, strict=True)


def read_ahead(run: RunState | None, effect_id: str) -> AheadCall | None:
    """The read in flight before its turn whose effect this is."""
    if run is None:
        return None
    for step in run.ahead.values():
        if step.outcome is None and step.effect_id == effect_id:
            return step
    return None


def arrived(rec: Recorder, step: AheadCall, outcome: ToolSucceeded | ToolFailed) -> None:
    """The result of a read whose turn has not come."""
    _record(rec, step, outcome)


def arrived_unusable(rec: Recorder, step: AheadCall, outcome: ToolFailed) -> None:
    """It has a result that cannot be written down: the run ends once its turn comes."""
    _record(rec, step, outcome, unusable=True)


def reissue(rec: Recorder) -> None:
    """The host died: reads in flight have no witness. They are begun again, or their loss is put on record."""
    run = rec.run
    if not run.is_reading_ahead or run.settings is None:
        return
    again: list[tuple[CallReady, int]] = []
    for step in list(run.ahead.values()):
        if step.outcome is not None:
            continue
        if step.attempt < run.settings.limits.max_attempts and not run.is_ending:
            again.append((step.call, step.attempt + 1))
        else:
            message = "The host went down during the call; its result is not known."
            _record(rec, step, ToolFailed(failure=ToolCallFailure.UNKNOWN, code="HOST_LOST", message=message))
    if again:
        _intend(rec, again)


def abandon(rec: Recorder) -> None:
    """The run ends or pauses: what is in flight has no taker, and the record says that nobody waited for it."""
    for step in list(rec.run.ahead.values()):
        if step.outcome is None:
            message = "The run did not wait for the result."
            _record(rec, step, ToolFailed(failure=ToolCallFailure.UNKNOWN, code="ABANDONED", message=message))


def _intend(rec: Recorder, attempts: Iterable[tuple[CallReady, int]]) -> None:
    run_id = rec.run.run_id
    calls = [
        {
            "effectId": f"{run_id}:{step_of(call.node, call.iteration)}:{attempt}",
            "tool": call.node.tool,
            "nodeId": call.node.id,
            "iteration": call.iteration,
            "attempt": attempt,
        }
        for call, attempt in attempts
    ]
    rec.emit(EventType.AHEAD_INTENDED, {"calls": calls})


def _record(rec: Recorder, step: AheadCall, outcome: ToolSucceeded | ToolFailed, *, unusable: bool = False) -> None:
    payload: dict[str, Any] = {
        "effectId": step.effect_id,
        "nodeId": step.call.node.id,
        "iteration": step.call.iteration,
        "result": dump(outcome),
    }
    if unusable:
        payload["unusable"] = True
    keep_result(rec, outcome)
    rec.emit(EventType.AHEAD_RECORDED, payload)
