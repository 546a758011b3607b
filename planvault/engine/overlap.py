"""Which reads of a plan can overlap with others at all, told from the plan alone, once.

A chain of calls that each need the one before, or a plan of writes, never looks ahead while it runs: it costs nothing
there that concurrency exists. Where this says yes, the walk (`planvault.engine.scout`) still has to find something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from models.plans import Assignment, Call, For, If, Plan, PlanNode, Reply, Var
from models.plans import Fail as FailNode
from planvault.plan.flow import all_parts, expressions

_MOST_NODES = 64  # looked at behind one read

_Block = tuple[PlanNode, ...]
_Place = tuple[_Block, int, bool]  # a block, a node's index in it, whether the block is a loop's body


def overlapping(plan: Plan, is_read: Callable[[Call], bool]) -> frozenset[str]:
    """Ids of reads behind which another read may come that does not need their result."""
    reads = [(node, path) for node, path in _calls(plan.body, ()) if is_read(node)]
    return frozenset(node.id for node, path in reads if _overlaps(node, path, is_read))


def _calls(block: _Block, above: tuple[_Place, ...], *, turns: bool = False) -> Iterator[tuple[Call, list[_Place]]]:
    """Every call with its places, innermost first."""
    for index, node in enumerate(block):
        path = ((block, index, turns), *above)
        match node:
            case Call():
                yield node, list(path)
            case If():
                yield from _calls(node.then, path)
                yield from _calls(node.orelse, path)
            case For():
                yield from _calls(node.body, path, turns=True)


def _overlaps(read: Call, path: list[_Place], is_read: Callable[[Call], bool]) -> bool:
    unknown = set() if read.target is None else {read.target}
    left = _MOST_NODES
    for node in _behind(path):
        left -= 1
        if left == 0 or isinstance(node, Reply | FailNode):
            return False
        needs = _needs(node, unknown)
        match node:
            case Assignment():
                _learn(node.target, unknown, needs=needs)
            case Call() if not is_read(node):
                return False
            case Call() if needs:
                _learn(node.target, unknown, needs=True)
            case If() | For() if needs:
                return False
            case _:
                return True  # a read that needs nothing unknown, or a block in which there may be one
    return False


def _behind(path: list[_Place]) -> Iterator[PlanNode]:
    """The nodes that come next: the rest of each block, and a loop's body once more."""
    for block, index, turns in path:
        yield from block[index + 1 :]
        if turns:
            yield from block


def _needs(node: PlanNode, unknown: set[str]) -> bool:
    parts = (part for expr in expressions(node) for part in all_parts(expr))
    return any(isinstance(part, Var) and part.name in unknown for part in parts)


def _learn(name: str | None, unknown: set[str], *, needs: bool) -> None:
    if name is not None and needs:
        unknown.add(name)
    elif name is not None:
        unknown.discard(name)
