"""Answers to a run's open question, and orders to stop it."""

import json
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from models.base import JsonValue
from models.commands import Action, CommandKind, Resolution
from models.ids import RunId
from models.results import INLINE_BYTES
from planvault.errors import FieldError, InvalidInput
from planvault.policy.voting import Voter
from serve_apps.schemas.base import Body, Json, JsonDocument, Name, Reply, Text


class ActionKind(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    FILL_SLOTS = "fill_slots"
    CANCEL_SLOTS = "cancel_slots"
    CANCEL = "cancel"
    RESOLVE = "resolve"
    APPROVE_TOOL = "approve_tool"
    REJECT_TOOL = "reject_tool"

    @property
    def command(self) -> CommandKind:
        return CommandKind(self.value)


class PostAction(Body):
    action: ActionKind
    run_id: UUID | None = Field(default=None, description="Default: the session's active run.")
    values: JsonDocument = Field(default_factory=dict, description="`fill_slots`: variable → value.")
    plan_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="`approve`: the hash that was shown; another plan is not approved by it."
    )
    correlation_id: Name | None = Field(default=None, description="`approve_tool`, `reject_tool`: the question's id.")
    reason: Annotated[Text, StringConstraints(max_length=2_000)] = ""
    resolution: Resolution | None = Field(default=None, description="`resolve`: what became of the unknown call.")
    result: Json = Field(default=None, description="`resolve` with `mark_done`: the result to go on with.")

    def command(self, speaker: Voter) -> Action:
        """Raises InvalidInput where the action lacks what it needs."""
        if self.action is ActionKind.FILL_SLOTS and not self.values:
            raise _missing("/values", "fill_slots needs `values`: an object with a value for each slot's variable")
        if self.action is ActionKind.RESOLVE and self.resolution is None:
            raise _missing("/resolution", "resolve needs `resolution`: mark_done, retry or fail")
        if self.action in (ActionKind.APPROVE_TOOL, ActionKind.REJECT_TOOL) and self.correlation_id is None:
            raise _missing("/correlationId", f"{self.action.value} needs `correlationId` from tool_approval_required")
        _refuse_large("/values", self.values)
        _refuse_large("/result", self.result)
        return Action(
            run_id=RunId(self.run_id) if self.run_id else None,
            actor=speaker.actor,
            operator=speaker.operator,
            proven=speaker.proven,
            correlation_id=self.correlation_id,
            reason=self.reason,
            values=self.values,
            plan_hash=self.plan_hash,
            resolution=self.resolution,
            result=self.result,
        )


def _refuse_large(pointer: str, value: JsonValue) -> None:
    """What people say goes into the record as it is; only what a service answers can be stored apart."""
    size = len(json.dumps(value, ensure_ascii=False))
    if size > INLINE_BYTES:
        detail = f"has {size:,} characters of JSON, at most {INLINE_BYTES:,} can be recorded: give what the plan uses"
        raise InvalidInput("The action holds too large a value.", errors=(FieldError(pointer, detail),))


def _missing(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput("The action is not complete.", errors=(FieldError(pointer, detail),))


class ActionAccepted(Reply):
    """The action is recorded; its effect shows on `/chat` and `/history`."""

    status: Literal["accepted"] = "accepted"
    action: ActionKind
    run_id: UUID | None = None
