"""The state of one session: the fold of its events. Nothing here is written; only `evolve` makes the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from models.base import Frozen, JsonObject, JsonValue
from models.commands import Message
from models.ids import MessageId, RunId, TokenId, ToolId
from models.planning import PlanProblem
from models.plans import Plan
from models.policies import PlanApprovalMode, RunLimits
from models.runs import RunStatus
from models.runtime_policy import RuntimePolicy
from models.tenants import SessionScope
from models.tools import ApprovalPolicy, Idempotency, RiskClass, ToolFailed, ToolSucceeded
from planvault.engine.machine import CallReady, Machine, Stop
from planvault.engine.pauses import Reauth, SignalWait
from planvault.engine.questions import Question


class ToolPin(Frozen):
    """A tool at the version that a run uses to its end."""

    id: ToolId
    version: int
    name: str


class ToolFacts(Frozen):
    """What the engine must know of a tool that a plan calls; recorded, so that a replay decides alike."""

    pin: ToolPin
    summary: str
    risk: RiskClass
    idempotency: Idempotency
    approval_policy: ApprovalPolicy
    timeout_s: float
    native: str | None = None  # the platform's own function behind it; None: a service's, or recorded before it counted
    integration: str = ""  # its alias


class RunSettings(Frozen):
    """The policy a run started under; recorded, so that a later change does not reach into it."""

    plan_approval_mode: PlanApprovalMode
    auto_approve_plan: bool
    limits: RunLimits
    runtime_policy: RuntimePolicy = RuntimePolicy()  # organisation and project joined
    session_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An effect that is about to happen, or did, and has no recorded result yet."""

    effect_id: str
    kind: str  # prepare | plan | call
    attempt: int = 1
    at: datetime


@dataclass(frozen=True, slots=True)
class AheadCall:
    """A read that was begun before the machine came to stand before it."""

    call: CallReady
    effect_id: str  # the same as if the call were made in its turn: then its effect goes on
    at: datetime  # when it was begun
    attempt: int = 1
    outcome: ToolSucceeded | ToolFailed | None = None  # None: in flight
    unusable: bool = False  # the outcome stands for one that the record cannot hold
    withdrawn: bool = False  # too old to be used: it is made again in its turn


@dataclass(frozen=True, slots=True)
class Recovery:
    """A call of which nobody knows whether it happened; an operator decides."""

    tool: str
    node_id: str
    message: str
    not_before: datetime  # a retry before this could still meet the first request


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class RunState:
    run_id: RunId
    message_id: MessageId
    prompt: str
    started_at: datetime
    requested_by: str = ""  # who sent the prompt: the operator, or the key
    requested_signed_in: bool = False  # an issuer has signed them in: the name is proven
    by_plan: bool = False  # a plan sent it: the session does not approve what comes of it
    status: RunStatus = RunStatus.QUEUED
    settings: RunSettings | None = None
    pins: tuple[ToolPin, ...] = ()
    instruction: str = ""  # the matched scenario's, its variables not filled in
    plan: Plan | None = None
    plan_hash: str | None = None
    facts: Mapping[str, ToolFacts] = field(default_factory=dict)
    overlapping: frozenset[str] = frozenset()  # reads behind which others can be begun
    problems: tuple[PlanProblem, ...] = ()
    slot_values: Mapping[str, JsonValue] | None = None
    machine: Machine | None = None
    stop: Stop | None = None  # where the machine stands; None while it waits for its first step
    intent: Intent | None = None
    outcome: ToolSucceeded | ToolFailed | None = None  # of the last attempt, while the step is not settled
    ahead: Mapping[str, AheadCall] = field(default_factory=dict)  # by step, in plan order
    attempt: int = 0  # attempts of the current call so far
    tool_calls: int = 0
    retry_at: datetime | None = None
    recovery: Recovery | None = None
    question: Question | None = None  # that people answer by vote
    approved_call: str | None = None  # hash of the call that people approved last
    reauth: Reauth | None = None  # the call that the machine stands before is not let in
    credentials_at: datetime | None = None  # when a credential was changed, if since the last call was begun
    signal: SignalWait | None = None  # what the call that the machine stands before waits for …
    kept_signals: Mapping[TokenId, JsonObject] = field(default_factory=dict)  # … what came, and is not used yet …
    used_signals: frozenset[TokenId] = frozenset()  # … and what was waited for so far
    sleeps_until: datetime | None = None
    cancel_requested: bool = False
    overdue: bool = False  # its wall-clock limit was reached: it ends as soon as its call in flight has
    expires_at: datetime | None = None  # when the open question is no longer asked
    asked_at: datetime | None = None  # since when the run waits for a person
    waited: timedelta = timedelta()  # … and how long it did before: no part of its wall-clock limit

    @cached_property
    def name(self) -> str:
        """The run's id as events spell it, many times a step; copies of the state keep it."""
        return str(self.run_id)

    @property
    def is_ending(self) -> bool:
        """Nothing more is begun."""
        return self.cancel_requested or self.overdue

    @property
    def is_reading_ahead(self) -> bool:
        """Whether a call is on the wire before its turn, as far as the record says."""
        return any(step.outcome is None for step in self.ahead.values())

    @property
    def is_calling(self) -> bool:
        """Whether any call is on the wire, as far as the record says."""
        return (self.intent is not None and self.intent.kind == "call") or self.is_reading_ahead


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class SessionState:
    scope: SessionScope
    seq: int = 0
    closed: bool = False
    queue: tuple[Message, ...] = ()
    run: RunState | None = None
