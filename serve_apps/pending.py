"""Which open run an action is for, and whether that run asks for it. The engine judges again when it applies it."""

from collections.abc import Sequence
from types import MappingProxyType

from pydantic import TypeAdapter

from models.plans import Slot
from models.runs import RunStatus
from planvault.engine.slots import fill
from planvault.errors import Conflict, InvalidInput
from planvault.storage.runs import RunRecord
from serve_apps.schemas.actions import ActionKind, PostAction

_ASKS = MappingProxyType(
    {
        ActionKind.APPROVE: RunStatus.AWAITING_CONFIRMATION,
        ActionKind.REJECT: RunStatus.AWAITING_CONFIRMATION,
        ActionKind.FILL_SLOTS: RunStatus.AWAITING_SLOTS,
        ActionKind.CANCEL_SLOTS: RunStatus.AWAITING_SLOTS,
        ActionKind.RESOLVE: RunStatus.NEEDS_MANUAL_RECOVERY,
    }
)
_SLOTS: TypeAdapter[list[Slot]] = TypeAdapter(list[Slot])


def target(action: PostAction, open_runs: Sequence[RunRecord], waiting: int) -> RunRecord | None:
    """The run that the action answers; None for a `cancel` that meets prompts which no host has taken up yet.

    Raises Conflict with what the caller can do instead, InvalidInput for values that do not fit the slots.
    """
    if action.action.command is None:
        raise Conflict("No tool call awaits approval: plans are approved as a whole with approve or reject.")
    run = _chosen(action, open_runs)
    if run is None:
        if action.action is ActionKind.CANCEL and waiting and action.run_id is None:
            return None
        raise Conflict(_nothing(action, waiting))
    wanted = _ASKS.get(action.action)
    if wanted is not None and run.status is not wanted:
        raise Conflict(f"Run {run.id} is {run.status.value}; {action.action.value} answers one that is {wanted.value}.")
    _check_answer(action, run)
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


def _check_answer(action: PostAction, run: RunRecord) -> None:
    if action.action is ActionKind.APPROVE and action.plan_hash not in (None, run.plan_hash):
        raise Conflict("The plan has changed since it was shown; look at the newest confirm_plan_required and decide.")
    if action.action is ActionKind.FILL_SLOTS and run.pending is not None and "slots" in run.pending:
        filled = fill(_SLOTS.validate_python(run.pending["slots"]), action.values)
        if filled.errors:
            raise InvalidInput("The values do not fit the slots.", errors=filled.errors)
