"""Which open run an action is for, and whether that run asks for it. The engine judges again when it applies it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from pydantic import TypeAdapter

from models.base import JsonObject
from models.commands import Resolution
from models.plans import Slot
from models.runs import RunStatus
from planvault.engine.slots import fill
from planvault.errors import (
    AlreadyVoted,
    Conflict,
    InvalidInput,
    NotAnApprover,
    OperatorRequired,
    PlanVaultError,
    SelfApproval,
)
from planvault.policy.voting import Ballot, RefusalCode, Voter, approval_refused, rejection_refused
from planvault.storage.runs import RunRecord
from serve_apps.schemas.actions import ActionKind, PostAction

_ASKS = MappingProxyType(
    {
        ActionKind.APPROVE: (RunStatus.AWAITING_CONFIRMATION,),
        ActionKind.REJECT: (RunStatus.AWAITING_CONFIRMATION,),
        ActionKind.APPROVE_TOOL: (RunStatus.AWAITING_CONFIRMATION,),
        ActionKind.REJECT_TOOL: (RunStatus.AWAITING_CONFIRMATION,),
        ActionKind.FILL_SLOTS: (RunStatus.AWAITING_SLOTS,),
        ActionKind.CANCEL_SLOTS: (RunStatus.AWAITING_SLOTS,),
        ActionKind.RESOLVE: (RunStatus.NEEDS_MANUAL_RECOVERY, RunStatus.AWAITING_REAUTH),
    }
)
_REFUSALS: Mapping[RefusalCode, type[PlanVaultError]] = MappingProxyType(
    {
        RefusalCode.OPERATOR_REQUIRED: OperatorRequired,
        RefusalCode.SELF_APPROVAL: SelfApproval,
        RefusalCode.NOT_AN_APPROVER: NotAnApprover,
        RefusalCode.ALREADY_VOTED: AlreadyVoted,
    }
)
_SLOTS: TypeAdapter[list[Slot]] = TypeAdapter(list[Slot])


_VOTES = frozenset({ActionKind.APPROVE, ActionKind.REJECT, ActionKind.APPROVE_TOOL, ActionKind.REJECT_TOOL})
_ABOUT_TOOLS = frozenset({ActionKind.APPROVE_TOOL, ActionKind.REJECT_TOOL})


def target(
    action: PostAction, open_runs: Sequence[RunRecord], waiting: int, now: datetime, voter: Voter
) -> RunRecord | None:
    """The run that the action answers; None for a `cancel` that meets prompts which no host has taken up yet.

    `waiting` counts the session's commands that no host has applied; `now` is timezone-aware.

    Raises Conflict with what the caller can do instead, InvalidInput for values that do not fit the slots, and what
    says why a vote does not count.
    """
    run = _chosen(action, open_runs)
    if run is None:
        if action.action is ActionKind.CANCEL and waiting and action.run_id is None:
            return None
        raise Conflict(_nothing(action, waiting))
    wanted = _ASKS.get(action.action)
    if wanted is not None and run.status not in wanted:
        asks = " or ".join(status.value for status in wanted)
        raise Conflict(f"Run {run.id} is {run.status.value}; {action.action.value} answers one that is {asks}.")
    question = run.pending or {}
    if wanted is not None and "expiresAt" in question and datetime.fromisoformat(str(question["expiresAt"])) <= now:
        raise Conflict(f"The question expired at {question['expiresAt']}; the run ends.")
    if action.action in _VOTES:
        _check_vote(action, run, question, voter)
    _check_answer(action, run, question, now)
    return run


def _chosen(action: PostAction, open_runs: Sequence[RunRecord]) -> RunRecord | None:
    if action.run_id is None:
        return open_runs[0] if open_runs else None
    return next((run for run in open_runs if run.id == action.run_id), None)


def _nothing(action: PostAction, waiting: int) -> str:
    if action.run_id is not None:
        return f"Run {action.run_id} is not open; see GET …/runs/{action.run_id} for how it ended."
    if waiting:
        return "A prompt is being taken up and asks nothing yet; wait for its question on /chat or /history."
    return "Nothing is pending in this session: no run is open. Send a prompt with POST …/messages."


def _check_vote(action: PostAction, run: RunRecord, question: JsonObject, voter: Voter) -> None:
    about_tool = question.get("kind") == "tool"
    if about_tool != (action.action in _ABOUT_TOOLS):
        way = "a tool call: answer with approve_tool or reject_tool" if about_tool else "its plan: approve or reject"
        raise Conflict(f"Run {run.id} asks about {way}.")
    if about_tool and action.correlation_id != question.get("correlationId"):
        raise Conflict("Another tool call waits now; look at the newest tool_approval_required and decide.")
    if "ballot" not in question:
        return  # asked by an older build
    ballot = Ballot.model_validate(question["ballot"])
    approves = action.action in (ActionKind.APPROVE, ActionKind.APPROVE_TOOL)
    refused = approval_refused(ballot, voter) if approves else rejection_refused(ballot, voter)
    if refused is not None:
        raise _REFUSALS[refused.code](f"{refused.why[0].upper()}{refused.why[1:]}.")


def _check_answer(action: PostAction, run: RunRecord, question: JsonObject, now: datetime) -> None:
    match action.action:
        case ActionKind.APPROVE if action.plan_hash not in (None, run.plan_hash):
            raise Conflict(
                "The plan has changed since it was shown; look at the newest confirm_plan_required and decide."
            )
        case ActionKind.FILL_SLOTS if "slots" in question:
            filled = fill([_typed(slot) for slot in _SLOTS.validate_python(question["slots"])], action.values)
            if filled.errors:
                raise InvalidInput("The values do not fit the slots.", errors=filled.errors)
        case ActionKind.RESOLVE if action.resolution is Resolution.MARK_DONE and question.get("kind") == "reauth":
            raise Conflict("The call was not let in, so there is nothing to mark as done: retry or fail.")
        case ActionKind.RESOLVE if action.resolution is Resolution.RETRY and question.get("mayRetry") is False:
            raise Conflict("The run is cancelled or out of time and sends nothing more: mark_done or fail.")
        case ActionKind.RESOLVE if action.resolution is Resolution.RETRY and "retryNotBefore" in question:
            opens = datetime.fromisoformat(str(question["retryNotBefore"]))
            if now < opens:
                raise Conflict(f"A retry opens at {opens.isoformat()}: until then the first request may still arrive.")


def _typed(slot: Slot) -> Slot:
    """A form shows every option as text; it is read back as the slot reads what a form sends.

    Where an option has no text that reads back (an object's), the engine alone compares.
    """
    free = slot.model_copy(update={"options": ()})
    read = [fill([free], {slot.variable: option}) for option in slot.options]
    if any(each.errors for each in read):
        return free
    return slot.model_copy(update={"options": tuple(each.values[slot.variable] for each in read)})
