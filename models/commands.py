"""Commands: what people and timers ask of a session. Each is a row before anything happens."""

from enum import StrEnum
from typing import TypeAlias

from pydantic import Field

from models.base import Frozen, JsonObject, JsonValue
from models.ids import CommandId, MessageId, OrgId, RunId, SessionId, TokenId


class CommandKind(StrEnum):
    MESSAGE = "message"
    APPROVE = "approve"
    REJECT = "reject"
    FILL_SLOTS = "fill_slots"
    CANCEL_SLOTS = "cancel_slots"
    CANCEL = "cancel"
    RESOLVE = "resolve"
    APPROVE_TOOL = "approve_tool"
    REJECT_TOOL = "reject_tool"
    CLOSE = "close"
    SIGNAL = "signal"  # somebody outside called back
    CREDENTIALS_CHANGED = "credentials_changed"  # what a call failed for may work now


class Resolution(StrEnum):
    MARK_DONE = "mark_done"
    RETRY = "retry"
    FAIL = "fail"


class Message(Frozen):
    message_id: MessageId
    text: str
    run_id: RunId | None = None  # the run that it will be; None: not taken up by a host yet
    actor: str = ""  # who sent it, for the record
    operator: str = ""  # the person behind the key, where X-Operator-Id named one
    proven: bool = Field(default=False, exclude_if=lambda proven: not proven)  # as in Action
    # A plan sent it: `autoApprovePlan` was not said for what a tool may have answered. Told only where it is so.
    by_plan: bool = Field(default=False, exclude_if=lambda by_plan: not by_plan)


class Action(Frozen):
    """The answer to a pending question of a run, or an order to stop it."""

    run_id: RunId | None = None  # None: the session's active run
    actor: str = ""  # who did it, for the record: a key's preview, a member, X-Operator-Id
    operator: str = ""  # the person behind the key, where X-Operator-Id named one: whose vote it is
    # An issuer has signed `operator` in; otherwise the holder of a key only says so. Told only where it is so.
    proven: bool = Field(default=False, exclude_if=lambda proven: not proven)
    reason: str = ""
    values: JsonObject = Field(default_factory=dict)  # fill_slots
    plan_hash: str | None = None  # approve: what the approver saw; None = whatever is shown now
    correlation_id: str | None = None  # approve_tool, reject_tool: which question
    resolution: Resolution | None = None  # resolve
    result: JsonValue = None  # resolve, mark_done


class Signal(Frozen):
    """What came in at a callback, for the run that its token belongs to."""

    run_id: RunId
    token_id: TokenId
    payload: JsonObject


CommandPayload: TypeAlias = "Message | Action | Signal"


class Command(Frozen):
    id: CommandId
    org_id: OrgId
    session_id: SessionId
    seq: int  # order of arrival, from the database
    kind: CommandKind
    payload: CommandPayload
