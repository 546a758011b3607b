"""decide(state, input) → Decision. Pure: the same state and input lead to the same events, always."""

from __future__ import annotations

from models.commands import Action, Command, CommandKind, Message, Signal
from models.events import EventType
from models.results import FragmentFound, FragmentRefused
from models.tools import ToolFailed, ToolSucceeded
from planvault.engine import signals
from planvault.engine.ahead import arrived, arrived_unusable, look_ahead, read_ahead, reissue
from planvault.engine.answers import answered
from planvault.engine.calls import as_unusable, called, end_if_cancelled, fragment_answered, lost, unusable
from planvault.engine.inputs import (
    Broke,
    CommandArrived,
    EffectDone,
    Input,
    Planned,
    Prepared,
    Recovered,
    TimerFired,
    Unusable,
)
from planvault.engine.lifecycle import cancel, fail, open_next_run, take_message
from planvault.engine.pauses import SignalClosed, SignalOpened
from planvault.engine.planning import planned, prepared
from planvault.engine.recorder import Decision, Recorder
from planvault.engine.state import SessionState
from planvault.engine.waits import timer_fired


def decide(state: SessionState, given: Input) -> Decision:
    """What follows from an input. No events at all where it came too late to matter."""
    rec = Recorder(state, given.now)
    match given:
        case CommandArrived():
            _command(rec, given)
        case EffectDone():
            _effect_done(rec, given)
        case TimerFired():
            timer_fired(rec)
        case Recovered():
            _recovered(rec, given)
        case Unusable():
            _unusable(rec, given)
    look_ahead(rec)
    open_next_run(rec, given.fresh_run_id)
    return rec.decision()


def _command(rec: Recorder, given: CommandArrived) -> None:
    command = given.command
    rec.consume(command)
    if rec.state.closed and not _is_for_the_last_run(rec, command):
        rec.refuse(command, "the session is closed")
    elif isinstance(command.payload, Message):
        take_message(rec, command.payload, given.fresh_run_id)
    elif isinstance(command.payload, Signal):
        signals.arrived(rec, command, command.payload)
    elif command.kind is CommandKind.CLOSE:
        _close(rec, command.payload)
    else:
        answered(rec, command, command.payload)


def _is_for_the_last_run(rec: Recorder, command: Command) -> bool:
    """A closed session's run can still need an operator: nobody knows what became of the call that was in flight."""
    return rec.state.run is not None and command.kind not in {CommandKind.MESSAGE, CommandKind.CLOSE}


def _close(rec: Recorder, action: Action) -> None:
    """No more messages. A call in flight still gets its result recorded before its run ends."""
    rec.emit(EventType.SESSION_CLOSED, {"actor": action.actor})
    run = rec.state.run
    if run is None:
        return
    if run.is_calling:
        rec.emit(EventType.CANCEL_REQUESTED, {"actor": action.actor, "reason": "session closed"})
    else:
        cancel(rec, "session closed")


def _recovered(rec: Recorder, given: Recovered) -> None:
    run = rec.state.run
    if run is None:
        return
    reissue(rec)
    if run.intent is not None and run.intent.kind == "call":
        lost(rec, given.lease_s)
    end_if_cancelled(rec)


def _effect_done(rec: Recorder, given: EffectDone) -> None:
    ahead = read_ahead(rec.state.run, given.effect_id)
    if ahead is not None and isinstance(given.result, ToolSucceeded | ToolFailed):
        arrived(rec, ahead, given.result)
        end_if_cancelled(rec)
        return
    if not _is_awaited(rec.state, given):
        return
    match given.result:
        case Prepared() as result:
            prepared(rec, result)
        case Planned() as result:
            planned(rec, result)
        case ToolSucceeded() | ToolFailed() as outcome:
            called(rec, outcome)
        case FragmentFound() | FragmentRefused() as answer:
            fragment_answered(rec, answer)
        case SignalOpened():
            signals.opened(rec)
        case SignalClosed() as closed:
            signals.closed(rec, closed)
        case Broke(code, message):
            fail(rec, code, message)


def _unusable(rec: Recorder, unusable_: Unusable) -> None:
    """Nothing of the input is used; that it came, and why it led nowhere, is what the record can hold."""
    given, why = unusable_.given, unusable_.why
    if isinstance(given, CommandArrived):
        rec.consume(given.command)
        rec.refuse(given.command, why)
        if isinstance(given.command.payload, Signal):
            signals.spoiled(rec, given.command.payload, why)
    elif (ahead := read_ahead(rec.state.run, given.effect_id)) is not None:
        if isinstance(given.result, ToolSucceeded | ToolFailed):
            arrived_unusable(rec, ahead, as_unusable(ahead.call.node.tool, given.result, why))
            end_if_cancelled(rec)
    elif _is_awaited(rec.state, given):
        if isinstance(given.result, ToolSucceeded | ToolFailed):
            unusable(rec, given.result, why)
        else:
            fail(rec, "INTERNAL", why)


def _is_awaited(state: SessionState, given: EffectDone) -> bool:
    """False once its run has ended, or another attempt took its place."""
    return state.run is not None and state.run.intent is not None and state.run.intent.effect_id == given.effect_id
