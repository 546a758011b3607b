"""What the engine is told. Time and ids arrive here: the engine reads no clock and draws no numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from models.commands import Command
from models.ids import RunId
from models.planning import PlanOutcome, Selection
from models.results import FragmentFound, FragmentRefused
from models.tools import ToolFailed, ToolSucceeded
from planvault.engine.pauses import SignalClosed, SignalOpened
from planvault.engine.state import RunSettings, ToolFacts


@dataclass(frozen=True, slots=True)
class Prepared:
    """Tools were selected and the run's policy read."""

    selection: Selection
    settings: RunSettings


@dataclass(frozen=True, slots=True)
class Planned:
    """The planner answered; `facts` holds the tools that its plan calls."""

    outcome: PlanOutcome
    facts: tuple[ToolFacts, ...]


@dataclass(frozen=True, slots=True)
class Broke:
    """An effect that is not a tool call could not be done, retries included."""

    code: str
    message: str


EffectResult: TypeAlias = (
    Prepared
    | Planned
    | ToolSucceeded
    | ToolFailed
    | FragmentFound
    | FragmentRefused
    | SignalOpened
    | SignalClosed
    | Broke
)


@dataclass(frozen=True, slots=True)
class CommandArrived:
    command: Command
    now: datetime
    fresh_run_id: RunId  # used if a run opens: this message's, or the next one's once a run ends


@dataclass(frozen=True, slots=True)
class EffectDone:
    effect_id: str
    result: EffectResult
    now: datetime
    fresh_run_id: RunId


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A time that the run waits for has come, or may have: the engine compares."""

    now: datetime
    fresh_run_id: RunId


@dataclass(frozen=True, slots=True)
class Recovered:
    """A host took the session over, or reloaded it: whatever was in flight has no witness."""

    now: datetime
    fresh_run_id: RunId
    lease_s: float


@dataclass(frozen=True, slots=True)
class Unusable:
    """`given` led to nothing that can be decided or written. Whoever asked again would meet the same fault again."""

    given: CommandArrived | EffectDone
    why: str  # for people; says what kind of fault, never a value
    now: datetime
    fresh_run_id: RunId


Input: TypeAlias = CommandArrived | EffectDone | TimerFired | Recovered | Unusable
