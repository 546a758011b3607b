"""One session in memory: takes inputs one at a time, commits what follows, then lets the effects out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from models.ids import CommandId, RunId
from models.tools import ToolCallFailure, ToolFailed
from planvault.engine.calls import may_repeat
from planvault.engine.decide import decide
from planvault.engine.effects import CallTool, Effect, Wait, effects
from planvault.engine.inputs import CommandArrived, EffectDone, EffectResult, Input, TimerFired, Unusable
from planvault.engine.merging import merged
from planvault.engine.recorder import Decision
from planvault.engine.state import SessionState
from planvault.errors import OwnershipLost, Unrecordable
from planvault.ports import Append, Clock, Ids, ShardLease
from planvault.runtime.committer import Committer

_log = structlog.get_logger(__name__)

_MOST_INPUTS = 32  # decided in one append


class LeaseGate(Protocol):
    async def open(self) -> None:
        """Returns while the lease surely holds; waits where it may have run out."""
        ...

    def leaves(self, shard: int) -> bool:
        """Whether the shard is to be given back as soon as it stands still."""
        ...


class Runner(Protocol):
    """Does one effect; what goes wrong outside is part of the result. Nothing is sent while the gate is closed."""

    async def run(self, state: SessionState, effect: Effect, gate: LeaseGate) -> EffectResult: ...


class LiveSession:
    """`applied` is told which commands a commit consumed.

    `lost` is called when the session can no longer be trusted in memory: another owner, or a refused row.
    """

    def __init__(
        self,
        state: SessionState,
        lease: ShardLease,
        *,
        committer: Committer,
        runner: Runner,
        gate: LeaseGate,
        clock: Clock,
        ids: Ids,
        applied: Callable[[Sequence[CommandId]], None],
        lost: Callable[[LiveSession, Exception], None],
    ) -> None:
        self.state = state
        self.lease = lease
        self._committer = committer
        self._runner = runner
        self._gate = gate
        self._clock = clock
        self._ids = ids
        self._applied = applied
        self._lost = lost
        self._inputs: deque[Callable[[], Input]] = deque()
        self._loop: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wait: tuple[Wait, asyncio.TimerHandle] | None = None
        self._dead = False

    @property
    def is_idle(self) -> bool:
        return not self._inputs and self._loop is None and not self._running

    def waits_at_least(self, seconds: float) -> bool:
        """Whether it needs no memory for so long: nothing is in flight, and no time that it waits for is near."""
        run = self.state.run
        if not self.is_idle or (run is not None and run.is_reading_ahead):
            return False  # reads that were left to another host are still to be made
        return self._wait is None or (self._wait[0].until - self._clock.now()).total_seconds() >= seconds

    def nudge(self) -> None:
        """Once a second: the clock may have been set forward since the timer was."""
        if self._wait is not None and self._wait[0].until <= self._clock.now():
            self._fire()

    @property
    def can_move(self) -> bool:
        """Another owner would lose nothing: no tool call is on the wire, and no append, which may intend one."""
        run = self.state.run
        if self._loop is not None or run is None:
            return self._loop is None
        if run.intent is not None and run.intent.kind == "call":
            return False
        early = [step.effect_id for step in run.ahead.values() if step.outcome is None]
        return self._running.keys().isdisjoint(early)

    def give(self, build: Callable[[], Input]) -> None:
        """Queue an input. It is built when its turn comes, so that it carries the time at which it is decided."""
        if self._queue(build):
            self._loop = asyncio.create_task(self._work())

    def _queue(self, build: Callable[[], Input]) -> bool:
        """True where nobody works on the inputs yet."""
        if self._dead:
            return False
        self._inputs.append(build)
        return self._loop is None

    def _start_effects(self) -> None:
        """Run what the state needs and nothing runs yet.

        An effect that has answered counts as running until its answer was decided: commands before it in the queue
        leave its intent standing, and it would go out a second time.
        """
        outstanding = effects(self.state)
        self._set_timer(next((effect for effect in outstanding if isinstance(effect, Wait)), None))
        wanted = {effect.effect_id: effect for effect in outstanding if not isinstance(effect, Wait)}
        for effect_id, task in list(self._running.items()):
            if effect_id in wanted:
                continue
            if task.done() or task is self._loop:
                del self._running[effect_id]
            else:
                task.cancel()
        for effect_id, effect in wanted.items():
            if effect_id not in self._running:
                self._running[effect_id] = asyncio.create_task(self._run(effect))

    def _set_timer(self, wait: Wait | None) -> None:
        """One timer a session: a handle of the loop's, no task. It is set again after every decision that leaves it."""
        if self._wait is not None:
            if self._wait[0] == wait:
                return
            self._wait[1].cancel()
            self._wait = None
        if wait is not None:
            delay = max(0.0, (wait.until - self._clock.now()).total_seconds())
            self._wait = wait, asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._set_timer(None)
        self.give(lambda: TimerFired(self._clock.now(), RunId(self._ids.new())))

    def drop(self) -> None:
        """Forget everything: the session is another host's, is about to be read again, or has long to wait."""
        self._dead = True
        self._inputs.clear()
        self._set_timer(None)
        current = asyncio.current_task()
        for task in (*self._running.values(), self._loop):
            if task is not None and task is not current:
                task.cancel()

    async def _work(self) -> None:
        try:
            while self._inputs:
                await self._apply([self._inputs.popleft()() for _ in range(min(len(self._inputs), _MOST_INPUTS))])
        except OwnershipLost as fault:
            self._give_up(fault)
        # A session that cannot go on must not take its host along.
        except Exception as fault:  # noqa: BLE001
            _log.exception("session.broken", session=str(self.state.scope.session_id))
            self._give_up(fault)
        finally:
            self._loop = None

    async def _apply(self, given: Sequence[Input]) -> None:
        """Decide one after the other, write as one: results of concurrent reads do not wait for each other's commit."""
        decisions: list[Decision] = []
        for each in given:
            decisions.append(self._decide(decisions[-1].state if decisions else self.state, each))
        try:
            await self._commit(merged(decisions))
        except Unrecordable as fault:
            if len(given) > 1:  # one of them: each on its own
                for each in given:
                    await self._apply([each])
                return
            await self._commit(self._without(self.state, given[0], fault))
        self._start_effects()

    def _decide(self, state: SessionState, given: Input) -> Decision:
        try:
            return decide(state, given)
        # Deciding is pure: the same input would meet the same fault again, for ever.
        except Exception as fault:  # noqa: BLE001
            return self._without(state, given, fault)

    def _without(self, state: SessionState, given: Input, fault: Exception) -> Decision:
        """What follows from an input that cannot be used. Raises the fault where nothing can stand for the input."""
        if not isinstance(given, CommandArrived | EffectDone):
            raise fault
        _log.error("input.unusable", session=str(self.state.scope.session_id), exc_info=fault)
        why = f"what came cannot be used ({type(fault).__name__}); the platform's log has more"
        return decide(state, Unusable(given, why, given.now, given.fresh_run_id))

    async def _commit(self, decision: Decision) -> None:
        if not decision.events:
            return
        append = Append(
            self.state.scope,
            self.lease,
            decision.events,
            consumed=decision.consumed,
            runs=decision.runs,
            wakes=decision.wakes,
            audits=decision.audits,
            blobs=decision.blobs,
        )
        await self._committer.commit(append)
        self.state = decision.state
        self._applied(decision.consumed)

    def _give_up(self, fault: Exception) -> None:
        self.drop()
        self._lost(self, fault)

    async def _run(self, effect: Effect) -> None:
        answered = False
        try:
            if self._is_left(effect):
                return
            result = self._put_off(effect) or await self._runner.run(self.state, effect, self._gate)
            idle = self._queue(lambda: EffectDone(effect.effect_id, result, self._clock.now(), RunId(self._ids.new())))
            answered = True
            if idle:  # decided in this task: another one would cost a turn of the loop with every step
                self._loop = asyncio.current_task()
                await self._work()
        # A runner answers whatever happens. Should one raise, the session is read again: its effect has no witness.
        except Exception as fault:  # noqa: BLE001
            _log.exception("effect.unanswered", session=str(self.state.scope.session_id), effect=effect.effect_id)
            self._give_up(fault)
        finally:
            if not answered:
                self._running.pop(effect.effect_id, None)

    def _is_left(self, effect: Effect) -> bool:
        """Whether a read before its turn is left to the shard's next owner. Its intent stands; nothing was sent."""
        run = self.state.run
        if not isinstance(effect, CallTool) or run is None or not self._gate.leaves(self.lease.shard):
            return False
        has_turn = run.intent is not None and run.intent.effect_id == effect.effect_id
        return not has_turn and effect.attempt < effect.limits.max_attempts

    def _put_off(self, effect: Effect) -> ToolFailed | None:
        """A call that the shard's next owner should make. It was not sent, so it may be tried again.

        The intent of a call is written with the result of the one before: without this a long run never stands still.
        """
        run = self.state.run
        if not isinstance(effect, CallTool) or not self._gate.leaves(self.lease.shard) or run is None:
            return None
        if not may_repeat(run):
            return None  # the last attempt: made here rather than lost
        message = "Not sent: the session is moving to another host."
        return ToolFailed(failure=ToolCallFailure.NOT_SENT, code="HOST_LEAVING", message=message)
