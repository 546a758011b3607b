"""The plan's interpreter: runs pure nodes until something outside is needed.

`advance` is a pure function of the machine. It evaluates assignments, branches and loops, and stops in front of the
next call with its arguments resolved, or at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from models.plans import Assignment, Call, Fail, For, If, Plan, PlanNode, Reply
from models.values import Value
from planvault.engine.copies import replace
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate, evaluate_condition, evaluate_items


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Loop:
    variable: str
    items: tuple[Value, ...]
    position: int = 0


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Frame:
    """One block being run; `index` is the node that comes next."""

    nodes: tuple[PlanNode, ...]
    index: int = 0
    loop: Loop | None = None


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Machine:
    frames: tuple[Frame, ...]
    scope: Mapping[str, Value]
    iterations: int = 0  # of all loops so far

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


Stop: TypeAlias = CallReady | Replied | Failed


def step_of(call: Call, iteration: str) -> str:
    """Names one step of a run: a call in one turn of its loops."""
    return f"{call.id}:{iteration}"


def start(plan: Plan, scope: Mapping[str, Value]) -> Machine:
    return Machine(frames=(Frame(plan.body),), scope=dict(scope))


def complete_call(machine: Machine, target: str | None, value: Value) -> Machine:
    """The machine after the call it stands before, its result bound to the call's target."""
    scope = {**machine.scope, target: value} if target is not None else machine.scope
    return replace(_step_over(machine), scope=scope)


def advance(machine: Machine, max_iterations: int, budget: Budget) -> tuple[Machine, Stop]:
    """Run to the next stop. A fault of evaluation is a stop too: `Failed`, never an exception."""
    trace: list[Branch] = []
    node: PlanNode | None = None
    try:
        while machine.frames:
            frame = machine.frames[-1]
            if frame.index >= len(frame.nodes):
                machine = _leave(machine, frame)
                continue
            node = frame.nodes[frame.index]
            match node:
                case Assignment():
                    value = evaluate(node.expr, machine.scope, budget)
                    machine = replace(_step_over(machine), scope={**machine.scope, node.target: value})
                case If():
                    machine = _branch(machine, node, budget, trace)
                case For():
                    machine = _enter_loop(machine, node, max_iterations, budget)
                case Call():
                    args = {arg.name: evaluate(arg.expr, machine.scope, budget) for arg in node.args}
                    return machine, CallReady(node, args, machine.iteration, tuple(trace))
                case Reply():
                    return machine, Replied(evaluate(node.expr, machine.scope, budget), tuple(trace))
                case Fail():
                    message = evaluate(node.expr, machine.scope, budget)
                    return machine, Failed("PLAN_FAILED", str(message), tuple(trace))
    except EvaluationFailed as fault:
        where = f" (node {node.id})" if node is not None else ""
        return machine, Failed(fault.code, f"{fault.message}{where}", tuple(trace))
    return machine, Failed("PLAN_ENDED_WITHOUT_REPLY", "The plan ended without a reply.", tuple(trace))


def _step_over(machine: Machine) -> Machine:
    frame = machine.frames[-1]
    return replace(machine, frames=(*machine.frames[:-1], replace(frame, index=frame.index + 1)))


def _branch(machine: Machine, node: If, budget: Budget, trace: list[Branch]) -> Machine:
    taken = evaluate_condition(node.condition, machine.scope, budget)
    trace.append(Branch(node.id, "then" if taken else "else"))
    stepped = _step_over(machine)
    return replace(stepped, frames=(*stepped.frames, Frame(node.then if taken else node.orelse)))


def _enter_loop(machine: Machine, node: For, max_iterations: int, budget: Budget) -> Machine:
    items = evaluate_items(node.iterable, machine.scope, budget)
    total = machine.iterations + len(items)
    if total > max_iterations:
        raise EvaluationFailed(
            "LIMIT_LOOP_ITERATIONS", f"the run would make {total} loop turns, {max_iterations} allowed"
        )
    stepped = replace(_step_over(machine), iterations=total)
    if not items:
        return stepped
    loop = Loop(node.variable, tuple(items))
    scope = {**stepped.scope, node.variable: items[0]}
    return replace(stepped, frames=(*stepped.frames, Frame(node.body, loop=loop)), scope=scope)


def _leave(machine: Machine, frame: Frame) -> Machine:
    """The next turn of a loop, or the block above."""
    loop = frame.loop
    if loop is None or loop.position + 1 >= len(loop.items):
        return replace(machine, frames=machine.frames[:-1])
    turned = replace(loop, position=loop.position + 1)
    scope = {**machine.scope, loop.variable: loop.items[turned.position]}
    return replace(machine, frames=(*machine.frames[:-1], Frame(frame.nodes, loop=turned)), scope=scope)
