"""Tells the engine a story, input by input, without a runtime: for tests that read as what happened."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from models.commands import Action, Command, CommandKind, CommandPayload, Message
from models.events import Event, EventType
from models.ids import CommandId, MessageId, OrgId, ProjectId, RunId, SessionId, ToolId
from models.planning import Candidate, PlanOutcome, Selection, SelectionTier
from models.plans import Plan, PlannerMode
from models.policies import PlanApprovalMode, RunLimits
from models.runs import RunStatus
from models.tenants import SessionScope
from models.tools import ApprovalPolicy, Idempotency, RiskClass, ToolFailed, ToolSucceeded
from planvault.engine.decide import decide
from planvault.engine.effects import CallTool, Effect, effects
from planvault.engine.evolve import fold
from planvault.engine.inputs import CommandArrived, EffectDone, Input, Planned, Prepared, Recovered, TimerFired
from planvault.engine.recorder import Decision
from planvault.engine.state import RunSettings, SessionState, ToolFacts, ToolPin

SCOPE = SessionScope(org_id=OrgId(UUID(int=1)), project_id=ProjectId(UUID(int=2)), session_id=SessionId(UUID(int=3)))
START = datetime(2026, 1, 1, tzinfo=UTC)


def facts(
    name: str,
    idempotency: Idempotency = Idempotency.SAFE,
    approval: ApprovalPolicy = ApprovalPolicy.DEFAULT,
) -> ToolFacts:
    pin = ToolPin(id=ToolId(UUID(int=sum(name.encode()))), version=1, name=name)
    return ToolFacts(
        pin=pin,
        summary=f"Does {name}",
        risk=RiskClass.READ,
        idempotency=idempotency,
        approval_policy=approval,
        timeout_s=10,
    )


@dataclass
class Story:
    state: SessionState = field(default_factory=lambda: SessionState(SCOPE))
    events: list[Event] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    now: datetime = START
    ids: int = 1000

    def tell(self, given: Input) -> Decision:
        decision = decide(self.state, given)
        self.state = decision.state
        self.events += decision.events
        self.decisions.append(decision)
        return decision

    def fresh(self) -> UUID:
        self.ids += 1
        return UUID(int=self.ids)

    # ── inputs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def command(self, kind: CommandKind, payload: CommandPayload) -> Decision:
        command = Command(
            id=CommandId(self.fresh()),
            org_id=SCOPE.org_id,
            session_id=SCOPE.session_id,
            seq=self.ids,
            kind=kind,
            payload=payload,
        )
        return self.tell(CommandArrived(command, self.now, RunId(self.fresh())))

    def says(self, text: str) -> Decision:
        return self.command(CommandKind.MESSAGE, Message(message_id=MessageId(self.fresh()), text=text))

    def acts(self, kind: CommandKind, **fields: Any) -> Decision:
        return self.command(kind, Action(**fields))

    def done(self, result: Any) -> Decision:
        return self.tell(EffectDone(self.effect.effect_id, result, self.now, RunId(self.fresh())))

    def prepared(self, **settings: Any) -> Decision:
        policy = {"plan_approval_mode": PlanApprovalMode.AUTO, "auto_approve_plan": False, "limits": RunLimits()}
        selection = Selection(
            tier=SelectionTier.DIRECT,
            catalog_size=1,
            shortlist=(Candidate(tool_id=ToolId(UUID(int=9)), version=1, name="get", group="g", score=1.0),),
        )
        return self.done(Prepared(selection, RunSettings.model_validate(policy | settings)))

    def planned(self, plan: Plan | None, *tools: ToolFacts, **fields: Any) -> Decision:
        outcome = PlanOutcome(plan=plan, planner="test", mode=PlannerMode.PYTHON_DSL, **fields)
        return self.done(Planned(outcome, tools))

    def begin(self, plan: Plan, *tools: ToolFacts, **settings: Any) -> None:
        """A message, its selection and its plan."""
        self.says("do it")
        self.prepared(**settings)
        self.planned(plan, *tools)

    def answers(self, value: Any) -> Decision:
        return self.done(ToolSucceeded(value=value))

    def fails(self, failure: ToolFailed) -> Decision:
        return self.done(failure)

    def recovers(self) -> Decision:
        return self.tell(Recovered(self.now, RunId(self.fresh()), 6.0))

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def timer(self) -> Decision:
        return self.tell(TimerFired(self.now, RunId(self.fresh())))

    # ── what happened ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def effect(self) -> Effect:
        """What is in flight; where nothing is, what the run waits for."""
        *in_flight, last = effects(self.state)
        return in_flight[0] if in_flight else last

    @property
    def call(self) -> CallTool:
        effect = self.effect
        assert isinstance(effect, CallTool)
        return effect

    @property
    def types(self) -> list[str]:
        return [event.type.value for event in self.events]

    def all(self, type_: EventType) -> list[dict[str, Any]]:
        return [dict(event.payload) for event in self.events if event.type is type_]

    def one(self, type_: EventType) -> dict[str, Any]:
        [payload] = self.all(type_)
        return payload

    @property
    def statuses(self) -> list[RunStatus]:
        return [RunStatus(payload["status"]) for payload in self.all(EventType.RUN_STATUS)]

    def replayed(self) -> SessionState:
        return fold(SessionState(SCOPE), self.events)
