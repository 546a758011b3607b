"""One session's life on a platform that fails: hosts die, results come late or twice, people do anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from uuid import UUID

from models.commands import Command
from models.events import Event, EventType
from models.ids import RunId
from models.runs import RunStatus
from planvault.engine.decide import decide
from planvault.engine.effects import CallTool, Effect, Wait, effects
from planvault.engine.evolve import fold
from planvault.engine.inputs import (
    CommandArrived,
    EffectDone,
    EffectResult,
    Input,
    Recovered,
    TimerFired,
    Unusable,
)
from planvault.engine.merging import merged
from planvault.engine.recorder import Decision
from planvault.engine.state import SessionState
from tests.simulation.invariants import Invariants
from tests.simulation.people import People
from tests.simulation.platform import Platform
from tests.unit.engine.story import SCOPE, START

_STORMY_INPUTS = 60  # at most, before the faults end
_MOST_INPUTS = 5_000


class Life:
    """`tell` hears of everything that happens, for whoever wants to know why a seed fails."""

    def __init__(self, seed: int, tell: Callable[[str], None] = lambda line: None) -> None:
        self.seed = seed
        self._tell = tell
        self._rng = Random(seed)
        self._storm = self._rng.choice([0.0, 0.02, 0.1, 0.3])
        self._ids = 1_000
        self._now = START
        self._people = People(Random(seed + 1), self._fresh)
        self._platform = Platform(seed, self._people)
        self.holds = Invariants()
        self.record: list[Event] = []
        self._state: SessionState = SessionState(SCOPE)
        self._up = True
        self._running: dict[str, Effect] = {}
        self._results: dict[str, EffectResult] = {}  # on their way
        self._past: list[tuple[str, EffectResult]] = []
        self._inbox: list[Command] = []

    def live(self) -> str:
        """To the end, which must come: the record's digest."""
        self._inbox.append(self._people.prompt())
        for _ in range(self._rng.randint(1, _STORMY_INPUTS)):
            self._happens()
        self._storm = 0.0
        for _ in range(_MOST_INPUTS):
            if not self._goes_on():
                return str(self.holds.digest.hexdigest())
        raise AssertionError("the session never comes to rest")

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _happens(self) -> None:
        """Anything, sensible or not."""
        chance = self._rng.random()
        if not self._up:
            self._recover()
        elif chance < 0.5 and self._running:
            self._deliver(self._rng.choice(sorted(self._running)))
        elif chance < 0.6 and self._inbox:
            self._take_command()
        elif chance < 0.7 and self._past:
            effect_id, result = self._rng.choice(self._past)
            self._apply(EffectDone(effect_id, result, self._now, self._run_id()))
        elif chance < 0.8:
            self._inbox.append(self._people.anything(self._state, self.holds.rows))
        elif chance < 0.85:
            self._now += timedelta(seconds=self._rng.choice([0.5, 5.0, 100.0, 100.0, 864_000.0]))
        elif chance < 0.92:
            self._apply(TimerFired(self._now, self._run_id()))
        elif chance < 0.93 and self._running:
            self._spoil(self._rng.choice(sorted(self._running)))
        elif self._rng.random() < self._storm:
            self._die()

    def _goes_on(self) -> bool:
        """One sensible step; False once the session rests: every run has ended."""
        waits = [effect for effect in effects(self._state) if isinstance(effect, Wait)]
        if not self._up:
            self._recover()
        elif self._inbox:
            self._take_command()
        elif self._running:
            self._deliver(self._rng.choice(sorted(self._running)))
        elif self._state.run is None:
            assert not self._state.queue, "prompts are left over"
            return False
        elif (answer := self._answer(bool(waits))) is not None:
            self._opens(self._state)
            self._inbox.append(answer)
        else:
            assert waits, f"a run that is {self._state.run.status} waits for nothing"
            self._now = max(self._now, waits[0].until)
            self._apply(TimerFired(self._now, self._run_id()))
        return True

    def _answer(self, may_time_out: bool) -> Command | None:
        """People leave some questions alone until their time is over."""
        if may_time_out and self._rng.random() < 0.2:
            return None
        return self._people.answer(self._state, self.holds.rows)

    def _opens(self, state: SessionState) -> None:
        """An operator's retry opens at a time; wait for it."""
        if state.run is not None and state.run.status is RunStatus.NEEDS_MANUAL_RECOVERY and state.run.recovery:
            self._now = max(self._now, state.run.recovery.not_before)

    def _take_command(self) -> None:
        self._apply(CommandArrived(self._inbox[0], self._now, self._run_id()))

    def _deliver(self, effect_id: str) -> None:
        result = self._results[effect_id]
        self._past.append((effect_id, result))
        self._apply(EffectDone(effect_id, result, self._now, self._run_id()))

    def _spoil(self, effect_id: str) -> None:
        """A result that cannot be used: deciding or writing it fails."""
        done = EffectDone(effect_id, self._results[effect_id], self._now, self._run_id())
        self._apply(Unusable(done, "it cannot be used", self._now, done.fresh_run_id))

    # ── the host ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, given: Input) -> None:
        """Decide and append, then let the effects out. The host may die in between.

        What came at the same time travels in the same append.
        """
        decisions = [self._decide(self._state, given)]
        while self._running and self._rng.random() < 0.1:
            effect_id = self._rng.choice(sorted(self._running))
            done = EffectDone(effect_id, self._results[effect_id], self._now, self._run_id())
            decisions.append(self._decide(decisions[-1].state, done))
        decision = merged(decisions)
        if self._rng.random() < self._storm / 2:
            self._die()
            return
        self.holds.appended(self._state, given, decision)
        self.record.extend(decision.events)
        self._state = decision.state
        self._inbox = [command for command in self._inbox if command.id not in decision.consumed]
        if self._rng.random() < self._storm / 2:
            self._die()
            return
        self._start_effects()

    def _decide(self, state: SessionState, given: Input) -> Decision:
        decision = decide(state, given)
        self._tell(_line(given, [event.type for event in decision.events]))
        return decision

    def _start_effects(self) -> None:
        outstanding = effects(self._state)
        self.holds.runs(self._state, outstanding)
        wanted = {effect.effect_id: effect for effect in outstanding if not isinstance(effect, Wait)}
        self._running = {effect_id: effect for effect_id, effect in self._running.items() if effect_id in wanted}
        for effect_id, effect in wanted.items():
            if effect_id in self._running:
                continue
            if isinstance(effect, CallTool):
                self.holds.sends(effect)
            self._running[effect_id] = effect
            self._results[effect_id] = self._platform.does(effect)

    def _die(self) -> None:
        """What was in flight may have happened; nobody will hear of it."""
        self._tell("the host dies")
        self._up = False
        self._running = {}

    def _recover(self) -> None:
        snapshots = [n for n, event in enumerate(self.record) if event.type is EventType.SNAPSHOT]
        self._state = fold(SessionState(SCOPE), self.record[snapshots[-1] if snapshots else 0 :])
        self._up = True
        self._apply(Recovered(self._now, self._run_id(), 6.0))

    def _fresh(self) -> UUID:
        self._ids += 100  # those of queued runs that end unrun lie in between
        return UUID(int=self._ids)

    def _run_id(self) -> RunId:
        return RunId(self._fresh())


def _line(given: Input, led_to: list[EventType]) -> str:
    return f"{_named(given)} → {', '.join(type_.value for type_ in led_to) or 'nothing'}"


def _named(given: Input) -> str:
    match given:
        case CommandArrived(command=command):
            return f"command {command.kind.value}"
        case EffectDone(effect_id=effect_id, result=result):
            return f"result of {effect_id.split(':', 1)[1]}: {_short(result)}"
        case Unusable(given=inner):
            return f"unusable: {_named(inner)}"
        case _:
            return type(given).__name__


def _short(result: EffectResult) -> str:
    return str(getattr(result, "failure", type(result).__name__))
