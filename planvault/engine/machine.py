"""The plan's interpreter: runs pure nodes until something outside is needed.

`advance` is a pure function of the machine. It evaluates assignments, branches and loops, and stops in front of the
next call with its arguments resolved, before a node that reads a stored value, or at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from models.plans import Assignment, Call, Fail, For, If, Plan, PlanNode, Reply, Var
from models.results import Bound, FragmentFound, FragmentQuery, Stored
from models.values import Value
from planvault.engine.copies import replace
from planvault.engine.fragments import bound, next_items, question, with_answer
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate, evaluate_condition, evaluate_items


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Loop:
    """`items` are all there are, or those from `start` on of the `total` in the blob `source`."""

    variable: str
    items: tuple[Bound, ...]
    position: int = 0
    start: int = 0
    total: int | None = None
    source: Stored | None = None

    @property
    def turns(self) -> int:
        return len(self.items) if self.total is None else self.total

    @property
    def items_end(self) -> int:
        """The first position whose item is not here."""
        return self.start + len(self.items)


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Frame:
    """One block being run; `index` is the node that comes next."""

    nodes: tuple[PlanNode, ...]
    index: int = 0
    loop: Loop | None = None


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Machine:
    frames: tuple[Frame, ...]
    scope: Mapping[str, Bound]
    iterations: int = 0  # of all loops so far
    stored: frozenset[str] = frozenset()  # variables that hold a stored value
    answer: FragmentFound | None = None  # what the node that comes next asked for

    @property
    def iteration(self) -> str:
        """Which turn of which loops this is, outermost first: `` outside of loops, `2.0` in the third turn's first."""
        return ".".join(str(frame.loop.position) for frame in self.frames if frame.loop is not None)


@dataclass(frozen=True, slots=True)
class Branch:
    """An `if` that was decided, for the record."""

    node_id: str
    taken: str  # then | else


@dataclass(frozen=True, slots=True)
class CallReady:
    node: Call
    args: Mapping[str, Value]
    iteration: str
    trace: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Replied:
    value: Value
    trace: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    code: str
    message: str
    trace: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class FragmentReady:
    """The node reads stored values: what it makes of them is asked for, and given to the machine as its `answer`."""

    node_id: str
    query: FragmentQuery
    iteration: str
    trace: tuple[Branch, ...] = ()

    @property
    def name(self) -> str:
        """Of this question, among all of the run's."""
        return f"{self.node_id}:{self.iteration}:fragment:{self.query.items_from or 0}"


Stop: TypeAlias = CallReady | FragmentReady | Replied | Failed


def step_of(call: Call, iteration: str) -> str:
    """Names one step of a run: a call in one turn of its loops."""
    return f"{call.id}:{iteration}"


def start(plan: Plan, scope: Mapping[str, Value]) -> Machine:
    return Machine(frames=(Frame(plan.body),), scope=dict(scope))


def complete_call(machine: Machine, target: str | None, value: Bound) -> Machine:
    """The machine after the call it stands before, its result bound to the call's target."""
    after = _step_over(machine)
    return after if target is None else _bind(after, target, value)


def advance(machine: Machine, max_iterations: int, budget: Budget) -> tuple[Machine, Stop]:
    """Run to the next stop. A fault of evaluation is a stop too: `Failed`, never an exception."""
    trace: list[Branch] = []
    node: PlanNode | None = None
    try:
        while machine.frames:
            frame = machine.frames[-1]
            if frame.index >= len(frame.nodes):
                asked = _next_window(machine, frame)
                if asked is not None:
                    return machine, FragmentReady(*asked, machine.iteration, tuple(trace))
                machine = _leave(machine, frame)
                continue
            node = frame.nodes[frame.index]
            query = None
            if machine.stored:
                query = question(node, machine.scope, machine.stored, max_iterations - machine.iterations)
                if query is not None and machine.answer is None:
                    return machine, FragmentReady(node.id, query, machine.iteration, tuple(trace))
            if query is not None and machine.answer is not None and not isinstance(node, For):
                given = with_answer(node, machine.scope, machine.stored, machine.answer)
                stop, machine = _run(machine, given.node, given.scope, max_iterations, budget, trace)
            else:
                stop, machine = _run(machine, node, machine.scope, max_iterations, budget, trace)
            if stop is not None:
                return machine, stop
    except EvaluationFailed as fault:
        where = f" (node {node.id})" if node is not None else ""
        return machine, Failed(fault.code, f"{fault.message}{where}", tuple(trace))
    return machine, Failed("PLAN_ENDED_WITHOUT_REPLY", "The plan ended without a reply.", tuple(trace))


def _run(
    machine: Machine,
    node: PlanNode,
    scope: Mapping[str, Bound],
    max_iterations: int,
    budget: Budget,
    trace: list[Branch],
) -> tuple[Stop | None, Machine]:
    """One node over `scope`; a stop where the machine ends or needs something outside."""
    match node:
        case Assignment():
            return None, _bind(_step_over(machine), node.target, _assigned(node, scope, budget))
        case If():
            return None, _branch(machine, node, scope, budget, trace)
        case For():
            return None, _enter_loop(machine, node, max_iterations, budget)
        case Call():
            args = {arg.name: evaluate(arg.expr, scope, budget) for arg in node.args}
            return CallReady(node, args, machine.iteration, tuple(trace)), machine
        case Reply():
            return Replied(evaluate(node.expr, scope, budget), tuple(trace)), machine
        case Fail():
            return Failed("PLAN_FAILED", str(evaluate(node.expr, scope, budget)), tuple(trace)), machine


def _assigned(node: Assignment, scope: Mapping[str, Bound], budget: Budget) -> Bound:
    """A stored value gets another name as it is."""
    held = scope.get(node.expr.name) if isinstance(node.expr, Var) else None
    return held if isinstance(held, Stored) else evaluate(node.expr, scope, budget)


def _bind(machine: Machine, name: str, value: Bound) -> Machine:
    scope = {**machine.scope, name: value}
    if isinstance(value, Stored):
        return replace(machine, scope=scope, stored=machine.stored | {name})
    if name in machine.stored:
        return replace(machine, scope=scope, stored=machine.stored - {name})
    return replace(machine, scope=scope)


def _step_over(machine: Machine) -> Machine:
    """Behind the node; an answer was for it."""
    frame = machine.frames[-1]
    frames = (*machine.frames[:-1], replace(frame, index=frame.index + 1))
    if machine.answer is not None:
        return replace(machine, frames=frames, answer=None)
    return replace(machine, frames=frames)


def _branch(machine: Machine, node: If, scope: Mapping[str, Bound], budget: Budget, trace: list[Branch]) -> Machine:
    taken = evaluate_condition(node.condition, scope, budget)
    trace.append(Branch(node.id, "then" if taken else "else"))
    stepped = _step_over(machine)
    return replace(stepped, frames=(*stepped.frames, Frame(node.then if taken else node.orelse)))


def _enter_loop(machine: Machine, node: For, max_iterations: int, budget: Budget) -> Machine:
    answer = machine.answer
    items: Sequence[Bound]
    if answer is None:
        items = evaluate_items(node.iterable, machine.scope, budget)
        loop = Loop(node.variable, tuple(items))
    else:
        items = tuple(bound(part) for part in answer.parts)
        loop = Loop(node.variable, tuple(items), total=answer.total, source=answer.source)
    total = machine.iterations + loop.turns
    if total > max_iterations:
        raise EvaluationFailed(
            "LIMIT_LOOP_ITERATIONS", f"the run would make {total} loop turns, {max_iterations} allowed"
        )
    stepped = replace(_step_over(machine), iterations=total)
    if not items:
        return stepped
    entered = replace(stepped, frames=(*stepped.frames, Frame(node.body, loop=loop)))
    return _bind(entered, node.variable, items[0])


def _next_window(machine: Machine, frame: Frame) -> tuple[str, FragmentQuery] | None:
    """Who asks for which items, where the next turn's are not here yet."""
    loop = frame.loop
    if loop is None or loop.source is None or machine.answer is not None:
        return None
    position = loop.position + 1
    if position < loop.items_end or position >= loop.turns:
        return None
    above = machine.frames[-2]
    return above.nodes[above.index - 1].id, next_items(loop.source, position, loop.turns)


def _leave(machine: Machine, frame: Frame) -> Machine:
    """The next turn of a loop, or the block above."""
    loop = frame.loop
    if loop is None or loop.position + 1 >= loop.turns:
        return replace(machine, frames=machine.frames[:-1])
    turned = replace(loop, position=loop.position + 1)
    if machine.answer is not None:
        items = tuple(bound(part) for part in machine.answer.parts)
        turned = replace(turned, items=items, start=turned.position)
        machine = replace(machine, answer=None)
    moved = replace(machine, frames=(*machine.frames[:-1], Frame(frame.nodes, loop=turned)))
    return _bind(moved, loop.variable, turned.items[turned.position - turned.start])
