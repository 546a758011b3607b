"""The built-in planner's own terms: calls, what they take from each other, and what is being looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from models.plans import Expr, ListOf
from models.tools import ToolParam
from planvault.planner.builtin.clauses import Clause
from planvault.planner.builtin.links import Link
from planvault.planner.builtin.toolview import ToolView
from planvault.planner.builtin.values import Mention


@dataclass(frozen=True)
class Step:
    """One call. `exprs` are literals, `linked` come from other steps, `asked` become slots."""

    view: ToolView
    exprs: Mapping[str, Expr]
    linked: Mapping[str, tuple[Step, Link]]
    asked: tuple[ToolParam, ...]
    used: frozenset[Mention]  # by this call itself
    known: int = 0  # required parameters that the session's own values fill
    fan: tuple[str, ListOf] | None = None  # a parameter with several values: one call each

    def steps(self) -> tuple[Step, ...]:
        """The step and all that it needs, producers first, each once."""
        return self._steps

    def all_used(self) -> frozenset[Mention]:
        """The values used by the step, its producers and its links."""
        return self._all_used

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        for producer, _ in self.linked.values():
            found += [each for each in producer.steps() if each not in found]
        return (*found, self)

    @cached_property
    def _all_used(self) -> frozenset[Mention]:
        used = set(self.used)
        for producer, link in self.linked.values():
            used |= producer.all_used()
            used |= {link.where[1]} if link.where is not None else set()
            used |= {link.index} if link.index is not None else set()
        return frozenset(used)


@dataclass(frozen=True, slots=True)
class Chain:
    """A target with all that it needs. `words` is the part of the clause's words that it accounts for, 0…1."""

    target: Step
    score: float
    words: float
    own: float  # the part that the target alone accounts for

    @property
    def questions(self) -> int:
        return sum(len(step.asked) for step in self.target.steps())


@dataclass(frozen=True, slots=True)
class Wish:
    """What a chain is looked for: a clause, the values it may use, and the calls that come before it."""

    clause: Clause
    values: tuple[Mention, ...]
    earlier: tuple[Step, ...]
    careful: bool = False  # the target changes something: no item is picked that nobody named
