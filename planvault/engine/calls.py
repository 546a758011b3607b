"""Tool calls: intent, result, retry, and what nobody can know (design, "Runs")."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.events import EventType
from models.plans import OnError
from models.results import FragmentAnswer
from models.runs import RunStatus
from models.tools import Idempotency, ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.engine.effects import call_effect_id
from planvault.engine.fragments import answer_json, blobs_of
from planvault.engine.gate import passes
from planvault.engine.lifecycle import cancel, complete, fail, intend
from planvault.engine.machine import CallReady, Failed, FragmentReady, Replied, step_of
from planvault.engine.outcomes import dump, size_of
from planvault.engine.reauth import ask_credential, reauth_verdict
from planvault.engine.recorder import Recorder, keep_result
from planvault.engine.rules import standing
from planvault.engine.state import RunState
from planvault.engine.timers import wall_clock_end
from planvault.engine.waiting import begin_wait, is_wait

_BACKOFF_S = 0.5  # before the second attempt; doubles
_LONGEST_BACKOFF_S = 60.0
_REPEATABLE = frozenset({Idempotency.SAFE, Idempotency.DECLARED, Idempotency.KEYED})
_NOT_EXECUTED = frozenset({ToolCallFailure.NOT_SENT, ToolCallFailure.REFUSED})


def follow(rec: Recorder) -> None:
    """The machine came to a stop: record the branches on its way and what comes next, as far as results are there."""
    while _follow(rec):
        pass


def _follow(rec: Recorder) -> bool:
    """True where the machine moved on at once, because the result of the call it came to was there already."""
    run = rec.run
    if run.stop is None:
        raise AssertionError("an executing machine stands somewhere")
    for branch in run.stop.trace:
        rec.emit(
            EventType.BRANCH_TAKEN,
            {"runId": run.name, "nodeId": branch.node_id, "branch": branch.taken},
        )
    if run.cancel_requested:
        end_if_cancelled(rec)
        return False
    if run.overdue:
        end_overdue(rec)
        return False
    match run.stop:
        case Replied(value):
            complete(rec, value)
        case Failed(code, message):
            fail(rec, code, message)
        case CallReady():
            return _call_or_limit(rec)
        case FragmentReady():
            intend(rec, f"{run.name}:{run.stop.name}", "fragment", 1)
    return False


def fragment_answered(rec: Recorder, answer: FragmentAnswer) -> None:
    """What the plan asked of stored values is known, or why it cannot be."""
    intent = rec.run.intent
    if intent is None:
        raise AssertionError("a fragment is intended before it is asked for")
    for blob_id in blobs_of(answer):
        rec.keep(blob_id)
    payload = {"effectId": intent.effect_id, "kind": "fragment", "answer": answer_json(answer)}
    rec.emit(EventType.EFFECT_RECORDED, payload)
    follow(rec)


def end_if_cancelled(rec: Recorder) -> None:
    """A cancelled run ends once every call that it began has its result on record, or an operator's word on it."""
    run = rec.state.run
    if run is not None and run.cancel_requested and not run.is_calling and run.recovery is None:
        cancel(rec, "cancelled by request")


def end_overdue(rec: Recorder) -> None:
    if rec.run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    limit = rec.run.settings.limits.max_wall_clock_s
    fail(rec, "LIMIT_WALL_CLOCK", f"The run took longer than {limit:.0f} s.")


def _call_or_limit(rec: Recorder) -> bool:
    run = rec.run
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    limits = run.settings.limits
    if run.tool_calls >= limits.max_tool_calls:
        fail(rec, "LIMIT_TOOL_CALLS", f"The run made {run.tool_calls} tool calls, as many as it may.")
    elif (end := wall_clock_end(run)) is not None and end < rec.now:
        end_overdue(rec)
    elif passes(rec):
        return _begin(rec)
    return False


def proceed(rec: Recorder) -> None:
    """People approved the call that the machine stands before."""
    if _call_or_limit(rec):
        follow(rec)


def _begin(rec: Recorder) -> bool:
    """The call's turn has come. True where its result came before (X8): it is judged now, as if it had just come."""
    stop = standing(rec.run)
    if is_wait(rec, stop):
        return _wait(rec, stop)
    step = rec.run.ahead.get(step_of(stop.node, stop.iteration))
    if step is None:
        attempt(rec, 1)
        return False
    if step.withdrawn or step.call.args != stop.args:  # too old; or not what the plan calls after all
        attempt(rec, step.attempt + 1)
        return False
    attempt(rec, step.attempt, ahead=True)
    if step.outcome is None:
        return False  # on the wire: it goes on as this attempt
    verdict = _verdict(rec, step.outcome)
    if step.unusable and isinstance(step.outcome, ToolFailed):
        verdict = _ends(step.outcome)
    record(rec, step.outcome, verdict, ahead=True)
    return not _stands(rec)


def _wait(rec: Recorder, stop: CallReady) -> bool:
    """True where the wait was over as soon as it began."""
    answer = begin_wait(rec, stop)
    if answer is None:
        return False
    record(rec, answer, _verdict(rec, answer))
    return True


def attempt(rec: Recorder, number: int, *, ahead: bool = False) -> None:
    """Write the intent of one attempt; the request goes out once this is committed. `ahead`: it went out before."""
    stop = standing(rec.run)
    intend(rec, f"{call_effect_id(rec.run)}:{number}", "call", number, ahead=ahead)
    rec.emit(
        EventType.TOOL_START,
        {"runId": rec.run.name, "tool": stop.node.tool, "nodeId": stop.node.id, "attempt": number},
    )


def called(rec: Recorder, outcome: ToolSucceeded | ToolFailed) -> None:
    """An attempt has its result: settle the step, try again, ask an operator, or fail the run."""
    record(rec, outcome, _verdict(rec, outcome))
    _go_on(rec)


def lost(rec: Recorder, lease_s: float) -> None:
    """The host died with this attempt in flight; nobody saw its result.

    Repeats are bounded here too: the call may be what ends its hosts. A cancelled run sends nothing more.
    """
    run = rec.run
    repeatable = run.facts[standing(run).node.tool].idempotency in _REPEATABLE
    if repeatable and not run.is_ending and may_repeat(run):
        attempt(rec, run.attempt + 1)
        return
    outcome = ToolFailed(
        failure=ToolCallFailure.UNKNOWN,
        code="HOST_LOST",
        message="The host went down during the call; whether the service executed it is not known.",
    )
    record(rec, outcome, _verdict(rec, outcome) if repeatable else _ask_operator(rec, lease_s))
    _go_on(rec)


def unusable(rec: Recorder, result: ToolSucceeded | ToolFailed, why: str) -> None:
    """The attempt has a result that cannot be written down or gone on with: the run ends here, on the record."""
    outcome = as_unusable(standing(rec.run).node.tool, result, why)
    record(rec, outcome, _ends(outcome))
    follow(rec)


def as_unusable(tool: str, result: ToolSucceeded | ToolFailed, why: str) -> ToolFailed:
    """What the record holds in place of a result that it cannot hold."""
    failure = result.failure if isinstance(result, ToolFailed) else ToolCallFailure.ANSWERED
    message = f"{tool}: {why}"
    return ToolFailed(failure=failure, code="RESULT_UNUSABLE", message=message, duration_ms=result.duration_ms)


def _ends(outcome: ToolFailed) -> dict[str, Any]:
    return {"next": "fail", "code": outcome.code, "message": outcome.message}


def resume(rec: Recorder) -> None:
    """The wait before another attempt is over."""
    if rec.run.cancel_requested:
        cancel(rec, "cancelled by request")
    else:
        attempt(rec, rec.run.attempt + 1)


def mark_done(rec: Recorder, outcome: ToolSucceeded) -> None:
    """An operator says what the lost call's result was."""
    record(rec, outcome, {"next": "settle", "source": "operator"})
    rec.status(RunStatus.EXECUTING)
    follow(rec)


def _verdict(rec: Recorder, outcome: ToolSucceeded | ToolFailed) -> dict[str, Any]:
    run = rec.run
    if isinstance(outcome, ToolSucceeded):
        return {"next": "settle"}
    stop = standing(run)
    idempotency = run.facts[stop.node.tool].idempotency
    executed_maybe = outcome.failure is ToolCallFailure.UNKNOWN
    if executed_maybe and idempotency not in _REPEATABLE:
        return _ask_operator(rec, 0.0)
    if (executed_maybe or outcome.failure in _NOT_EXECUTED) and not run.is_ending and may_repeat(run):
        wait = timedelta(seconds=_backoff(run.attempt, outcome.retry_after_s))
        return {"next": "retry", "retryAt": (rec.now + wait).isoformat()}
    if stop.node.on_error is OnError.CONTINUE:
        return {"next": "settle"}
    if outcome.failure is ToolCallFailure.CREDENTIAL and not run.is_ending:
        return reauth_verdict(rec, outcome)
    return {"next": "fail", "code": "TOOL_FAILED", "message": f"{stop.node.tool}: {outcome.message}"}


def may_repeat(run: RunState) -> bool:
    """Whether the run's limits leave another attempt to the call that it stands before."""
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    limits = run.settings.limits
    return run.attempt < limits.max_attempts and run.tool_calls < limits.max_tool_calls


def _ask_operator(rec: Recorder, lease_s: float) -> dict[str, Any]:
    """A repeat may meet the first request until the old lease and the tool's timeout have passed."""
    timeout = rec.run.facts[standing(rec.run).node.tool].timeout_s
    return {"next": "recover", "retryAt": (rec.now + timedelta(seconds=lease_s + timeout)).isoformat()}


def _backoff(attempts: int, asked: float | None) -> float:
    """Seconds before the next attempt: what the service asked for, else doubling."""
    wait = _BACKOFF_S * 2 ** (attempts - 1) if asked is None else asked
    return min(max(wait, 0.0), _LONGEST_BACKOFF_S)


def record(rec: Recorder, outcome: ToolSucceeded | ToolFailed, verdict: dict[str, Any], *, ahead: bool = False) -> None:
    """Result and verdict. `ahead`: the result was recorded when it came, before the call's turn."""
    run, stop = rec.run, standing(rec.run)
    effect_id = run.intent.effect_id if run.intent is not None else f"{call_effect_id(run)}:{run.attempt}"
    end: dict[str, Any] = {
        "runId": run.name,
        "tool": stop.node.tool,
        "nodeId": stop.node.id,
        "attempt": run.attempt,
        "ok": outcome.ok,
        "durationMs": round(outcome.duration_ms, 3),
    }
    if isinstance(outcome, ToolFailed):
        end |= {"error": outcome.message, "code": outcome.code, "next": verdict["next"]}
    else:
        end |= size_of(outcome)
    if not ahead:
        keep_result(rec, outcome)
    what: dict[str, Any] = {"ahead": True} if ahead else {"result": dump(outcome)}
    rec.emit(EventType.EFFECT_RECORDED, {"effectId": effect_id, "kind": "call", **what, **verdict})
    rec.emit(EventType.TOOL_END, end)


def _go_on(rec: Recorder) -> None:
    if not _stands(rec):
        follow(rec)


def _stands(rec: Recorder) -> bool:
    """Whether the run stays before its call: for an operator, a credential, or the next attempt."""
    run = rec.run
    if run.recovery is not None:
        rec.status(
            RunStatus.NEEDS_MANUAL_RECOVERY,
            pending={
                "kind": "recovery",
                "tool": run.recovery.tool,
                "nodeId": run.recovery.node_id,
                "message": run.recovery.message,
                "retryNotBefore": run.recovery.not_before.isoformat(),
                "mayRetry": not run.is_ending,
            },
            reason="recovery_required",
        )
    if run.reauth is not None:
        ask_credential(rec)
    return run.recovery is not None or run.reauth is not None or run.retry_at is not None
