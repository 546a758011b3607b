"""Walks a copy of the machine beyond the call it stands before, to find reads that could be made already.

Results that are not there yet are unknown: what is computed from them is unknown too, a call that needs them is passed
by, and a branch or loop over them ends the walk. So does everything that is not a read, for a read behind it may see
what it did. Nothing here changes what the machine does later; at worst a read was made that the run does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.plans import Assignment, Call, Expr, Fail, For, If, OnError, PlanNode, Reply
from models.results import Bound, Stored
from models.tools import Idempotency, RiskClass, ToolCallFailure, ToolFailed, ToolSucceeded
from models.values import Value
from planvault.engine.machine import CallReady, Frame, Machine, step_of
from planvault.engine.outcomes import value_of
from planvault.engine.pauses import ENGINE_TOOLS
from planvault.engine.state import AheadCall, RunState, ToolFacts
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate, evaluate_condition, evaluate_items

_MOST_NODES = 256  # looked at in one walk
_STEPS = 4_000  # of evaluation in one walk: about a millisecond
_BYTES = 1024 * 1024
_DEFINITE = frozenset({ToolCallFailure.ANSWERED, ToolCallFailure.REJECTED})


def is_read(known: Mapping[str, ToolFacts], call: Call) -> bool:
    """Repeats are harmless and nothing changes: only such calls are made before their turn."""
    facts = known[call.tool]
    return facts.idempotency is Idempotency.SAFE and facts.risk is RiskClass.READ and facts.native not in ENGINE_TOOLS


def find_reads(
    run: RunState, wanted: Callable[[CallReady], bool], most: int, *, strict: bool = False
) -> tuple[CallReady, ...]:
    """Reads behind the one that the machine stands before, in plan order, that are wanted and not begun yet.

    `strict`: a call that is not wanted, or of which nobody can say yet, ends the walk.
    """
    if run.machine is None or run.settings is None:
        raise AssertionError("a run looks ahead while its machine runs")
    found: list[CallReady] = []
    scout = _Scout(run.machine, run.settings.limits.max_loop_iterations)
    try:
        for call in scout.calls():
            step = run.ahead.get(step_of(call, scout.iteration))
            if step is not None:
                if not scout.pass_begun(call, step):
                    break
                continue
            if not is_read(run.facts, call):
                break
            ready = scout.ready(call)
            if ready is not None and wanted(ready):
                found.append(ready)
                if len(found) == most:
                    break
            elif strict:
                break
            scout.forget(call.target)
    except EvaluationFailed:
        pass  # the machine will meet the same fault, and say so, if it comes there
    return tuple(found)


class _Unknown(Exception):
    """An expression reads a result that has not come."""


class _Scope(dict[str, Value]):
    """The variables whose values are known. Reading one of the others raises _Unknown.

    A value that is stored apart is one of those: what is computed from it has to be asked for.
    """

    def __init__(self, held: Mapping[str, Bound]) -> None:
        super().__init__({name: value for name, value in held.items() if not isinstance(value, Stored)})
        self.unknown = held.keys() - self.keys()

    def __missing__(self, name: str) -> Value:
        if name in self.unknown:
            raise _Unknown
        raise KeyError(name)


@dataclass(slots=True)
class _Frame:
    """A block on the way; unlike the machine's it is moved in place, since nobody keeps a walk."""

    nodes: tuple[PlanNode, ...]
    index: int = 0
    variable: str = ""
    items: Sequence[Bound] = ()
    position: int | None = None  # of the turn; None: no loop
    start: int = 0  # the position of the first of `items`
    turns: int = 0


class _Scout:
    def __init__(self, machine: Machine, max_iterations: int) -> None:
        self._frames = [_frame(frame) for frame in machine.frames]
        self._scope = _Scope(machine.scope)
        self._budget = Budget(_STEPS, _BYTES)
        self._iterations_left = max_iterations - machine.iterations

    @property
    def iteration(self) -> str:
        return ".".join(str(frame.position) for frame in self._frames if frame.position is not None)

    def calls(self) -> Iterator[Call]:
        """The calls on the way, each once; whoever takes one says what its target holds before taking the next."""
        self._step_over_head()
        for _ in range(_MOST_NODES):
            node = self._next_node()
            if isinstance(node, Call):
                yield node
            elif node is None or not self._pass(node):
                return

    def ready(self, call: Call) -> CallReady | None:
        """The call with its arguments; None where one of them is not known yet."""
        try:
            args = {arg.name: self._evaluate(arg.expr) for arg in call.args}
        except _Unknown:
            return None
        return CallReady(call, args, self.iteration)

    def forget(self, name: str | None) -> None:
        """From here on the variable holds what nobody knows yet."""
        if name is not None:
            self._scope.pop(name, None)
            self._scope.unknown.add(name)

    def pass_begun(self, call: Call, step: AheadCall) -> bool:
        """Step behind a call that was begun already. False where the run will end there."""
        match step.outcome:
            case _ if step.withdrawn:
                self.forget(call.target)
            case ToolSucceeded():
                self._bind(call.target, value_of(step.outcome))
            case ToolFailed(failure=failure) if failure in _DEFINITE and not step.unusable:
                self._bind(call.target, None)
                return call.on_error is OnError.CONTINUE
            case _:
                self.forget(call.target)
        return True

    def _step_over_head(self) -> None:
        head = self._frames[-1].nodes[self._frames[-1].index]
        if not isinstance(head, Call):
            raise AssertionError("the machine does not stand before a call")
        self._frames[-1].index += 1
        self.forget(head.target)

    def _next_node(self) -> PlanNode | None:
        while self._frames:
            frame = self._frames[-1]
            if frame.index < len(frame.nodes):
                node = frame.nodes[frame.index]
                frame.index += 1
                return node
            if frame.position is None or frame.position + 1 >= frame.turns:
                self._frames.pop()
            else:
                frame.position += 1
                frame.index = 0
                if frame.position >= frame.start + len(frame.items):
                    return None  # the next items are not here
                self._bind(frame.variable, frame.items[frame.position - frame.start])
                self._budget.step()
        return None

    def _pass(self, node: Assignment | If | For | Reply | Fail) -> bool:
        """Go through a node that is no call; False where the way ends."""
        match node:
            case Assignment():
                try:
                    self._bind(node.target, self._evaluate(node.expr))
                except _Unknown:
                    self.forget(node.target)
                return True
            case If() | For():
                try:
                    self._enter(node)
                except _Unknown:
                    return False
                return True
            case _:
                return False

    def _enter(self, node: If | For) -> None:
        if isinstance(node, If):
            taken = evaluate_condition(node.condition, self._scope, self._budget)
            self._frames.append(_Frame(node.then if taken else node.orelse))
            return
        items = evaluate_items(node.iterable, self._scope, self._budget)
        self._iterations_left -= len(items)
        if self._iterations_left < 0:
            raise EvaluationFailed("LIMIT_LOOP_ITERATIONS", "the run would make too many loop turns")
        if items:
            self._frames.append(_Frame(node.body, 0, node.variable, items, 0, 0, len(items)))
            self._bind(node.variable, items[0])

    def _evaluate(self, expr: Expr) -> Value:
        return evaluate(expr, self._scope, self._budget)

    def _bind(self, name: str | None, value: Bound) -> None:
        if isinstance(value, Stored):
            self.forget(name)
        elif name is not None:
            self._scope[name] = value
            self._scope.unknown.discard(name)


def _frame(frame: Frame) -> _Frame:
    loop = frame.loop
    if loop is None:
        return _Frame(frame.nodes, frame.index)
    return _Frame(frame.nodes, frame.index, loop.variable, loop.items, loop.position, loop.start, loop.turns)
