"""What the record of reads before their turn changes in a run (`planvault.engine.ahead` writes it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as replace_slotted
from datetime import datetime
from typing import Any

from planvault.engine.copies import replace
from planvault.engine.machine import CallReady, step_of
from planvault.engine.outcomes import load
from planvault.engine.scout import find_reads
from planvault.engine.state import AheadCall, Intent, RunState


def ahead_intended(run: RunState, payload: Mapping[str, Any], at: datetime) -> RunState:
    """Reads are begun, or begun again. Arguments are never recorded: the same walk finds them again."""
    named = {f"{item['nodeId']}:{item['iteration']}": item for item in payload["calls"]}
    fresh = named.keys() - run.ahead.keys()
    calls = {name: step.call for name, step in run.ahead.items() if name in named}
    if fresh:
        found = find_reads(run, lambda call: step_of(call.node, call.iteration) in fresh, len(fresh))
        calls |= {step_of(call.node, call.iteration): call for call in found}
    if calls.keys() != named.keys():
        raise AssertionError("the record begins reads that the plan does not come to")
    begun = {
        name: AheadCall(call, str(named[name]["effectId"]), at, int(named[name]["attempt"]))
        for name, call in calls.items()
    }
    return replace(run, ahead={**run.ahead, **begun})


def ahead_recorded(run: RunState, payload: Mapping[str, Any], at: datetime) -> RunState:
    name = f"{payload['nodeId']}:{payload['iteration']}"
    step = run.ahead[name]
    done = replace_slotted(step, outcome=load(payload["result"]), unusable=bool(payload.get("unusable")))
    return replace(run, ahead={**run.ahead, name: done})


def turn_comes(run: RunState, intent: Intent, *, ahead: bool) -> RunState:
    """The machine's call is intended: what was begun before its turn is its own now, with its result if it has one."""
    if not isinstance(run.stop, CallReady):
        raise AssertionError("a call is intended only where the machine stands before one")
    steps = dict(run.ahead)
    step = steps.pop(step_of(run.stop.node, run.stop.iteration), None)
    if not ahead or step is None:
        return replace(run, ahead=steps, intent=intent)
    return replace(run, ahead=steps, intent=replace_slotted(intent, at=step.at), outcome=step.outcome)


def withdrawn(steps: Mapping[str, AheadCall]) -> Mapping[str, AheadCall]:
    """The run waits for somebody, maybe for days: what was read before is too old when it goes on."""
    return {name: replace_slotted(step, withdrawn=True) for name, step in steps.items()}
