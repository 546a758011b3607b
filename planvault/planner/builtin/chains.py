"""The best chain of calls for one clause: a target, and before it whatever looks up what the target needs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from models.plans import Expr
from models.tools import ToolParam
from planvault.planner.builtin.binding import Bound, bind
from planvault.planner.builtin.links import Link, LinkTable, field_holding, things
from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.scoring import Scorer, is_told
from planvault.planner.builtin.steps import Chain, Step, Wish
from planvault.planner.builtin.toolview import ToolView, is_identifier, vocabulary
from planvault.planner.builtin.values import Mention
from planvault.planner.builtin.verbs import agrees, destroys, is_named, writes
from planvault.planner.builtin.words import canonical

_TARGETS, _PRODUCERS, _HOPS = 12, 6, 2  # how far the search goes: targets a clause, producers a parameter, calls before
_NAMED = frozenset({Kind.NAME, Kind.QUOTED, Kind.TAIL, Kind.PHRASE, Kind.EMAIL, Kind.URL})
_OWNED_BY = frozenset({"of", "for", "by"})
Choice = dict[str, tuple[Step, Link]]


class Search:
    """Finds chains over one shortlist. `known` are values that need no prompt: tool → parameter → expression."""

    def __init__(self, tools: Sequence[ToolView], known: Mapping[str, Mapping[str, Expr]]) -> None:
        self.tools = tuple(tools)
        self.scorer = Scorer(tools)
        self.vocabulary = vocabulary(tools)
        self._known = known
        self._links = LinkTable(tools)
        self._bound: dict[tuple[str, str, tuple[Mention, ...], bool], Bound] = {}

    def best(self, wish: Wish) -> Chain | None:
        """The best chain for a wish; None when no tool may answer it."""
        chains = (
            self.scorer.chain(step, wish)
            for target in self._targets(wish)
            for step in self._ways(target, replace(wish, careful=writes(target.tool)), wish.values, _HOPS, frozenset())
            if not destroys(target.tool) or is_told(step, wish.clause, self.vocabulary.things)
        )
        return max(chains, key=lambda chain: chain.score, default=None)

    def _targets(self, wish: Wish) -> list[ToolView]:
        clause = wish.clause
        allowed = [view for view in self.tools if agrees(clause.verb, view.tool, view.actions)]
        # An order by a tool's own verb (“skip”, “pause”) means a tool of that name.
        named = [view for view in allowed if clause.verb is not None and is_named(clause.verb, view.tool, view.actions)]
        return sorted(
            named or allowed,
            key=lambda view: (
                self.scorer.overlap(clause.words, (view,)) - 0.1 * self.scorer.unsaid(clause, view) - 1e-6 * view.rank
            ),
            reverse=True,
        )[:_TARGETS]

    def _ways(
        self, view: ToolView, wish: Wish, values: tuple[Mention, ...], hops: int, above: frozenset[str]
    ) -> Iterator[Step]:
        """The ways to call a tool: each missing parameter asked for, or taken from an earlier or a further call."""
        bound = self._bind(view, wish, values, hops == _HOPS)
        exprs = {**self._known.get(view.tool.name, {}), **bound.exprs}
        missing = tuple(param for param in bound.missing if param.name not in exprs)
        known = len(bound.missing) - len(missing)
        yield Step(view, exprs, {}, missing, bound.used, known, bound.fan)
        left = tuple(value for value in values if value not in bound.used)
        sought = missing + self._implied(view, exprs, wish, left)
        for choice in self._choices(view, sought, wish, left, hops, above | {view.tool.name}):
            asked = tuple(param for param in missing if param.name not in choice)
            yield Step(view, exprs, choice, asked, bound.used, known, bound.fan)

    def _implied(
        self, view: ToolView, exprs: Mapping[str, Expr], wish: Wish, left: tuple[Mention, ...]
    ) -> tuple[ToolParam, ...]:
        """Optional identifiers of things that the clause speaks of: “orders of customer Ada”, “his orders”."""
        owned = any(value.hints[:1] and value.hints[0] in _OWNED_BY for value in left)
        spoken = frozenset(wish.clause.words) if left else frozenset[str]()
        referred = owned or (bool(wish.earlier) and wish.clause.refers)
        return tuple(
            param
            for param in view.tool.params
            if not param.required
            and param.name not in exprs
            and is_identifier(param)
            and (referred or view.resource_of(param) & spoken)
        )

    def _bind(self, view: ToolView, wish: Wish, values: tuple[Mention, ...], is_target: bool) -> Bound:
        key = (view.tool.name, wish.clause.text, values, is_target)
        if key not in self._bound:
            self._bound[key] = bind(view, wish.clause, values, fans=is_target)
        return self._bound[key]

    def _choices(
        self,
        view: ToolView,
        missing: tuple[ToolParam, ...],
        wish: Wish,
        left: tuple[Mention, ...],
        hops: int,
        above: frozenset[str],
    ) -> Iterator[Choice]:
        """Every producer of the first missing parameter that has one; the other parameters follow where they can."""
        for first in missing:
            found = False
            for step, link in self._producers(view, first, wish, left, hops, above):
                found = True
                choice: Choice = {first.name: (step, link)}
                rest = tuple(value for value in left if value not in step.all_used())
                for param in missing:
                    if param.name not in choice:
                        self._follow(view, param, choice, wish, rest, hops, above)
                yield choice
            if found:
                return

    def _follow(
        self,
        view: ToolView,
        param: ToolParam,
        choice: Choice,
        wish: Wish,
        left: tuple[Mention, ...],
        hops: int,
        above: frozenset[str],
    ) -> None:
        """Take a further parameter from a producer that is called anyway, else from the likeliest other one."""
        for step, link in tuple(choice.values()):
            again = self._links.link(view, param, step.view)
            if again is not None:
                choice[param.name] = (step, replace(again, index=link.index, where=link.where))
                return
        other = next(self._producers(view, param, wish, left, hops, above), None)
        if other is not None:
            choice[param.name] = other

    def _producers(
        self, view: ToolView, param: ToolParam, wish: Wish, left: tuple[Mention, ...], hops: int, above: frozenset[str]
    ) -> Iterator[tuple[Step, Link]]:
        for step in reversed(wish.earlier):
            link = self._links.link(view, param, step.view)
            if link is not None:
                yield from ((step, pinned) for pinned in _pinned(view, param, link, step, wish, left))
        if hops == 0:
            return
        clause, scorer = wish.clause, self.scorer
        candidates = sorted(
            (link for link in self._links.links(view, param) if link.producer.tool.name not in above),
            key=lambda link: (
                link.strength + scorer.overlap(clause.words, (link.producer,)) - scorer.unsaid(clause, link.producer)
            ),
            reverse=True,
        )
        for link in candidates[:_PRODUCERS]:
            for step in self._ways(link.producer, wish, left, hops - 1, above):
                yield from ((step, pinned) for pinned in _pinned(view, param, link, step, wish, left))


def _pinned(
    view: ToolView, param: ToolParam, link: Link, step: Step, wish: Wish, left: tuple[Mention, ...]
) -> Iterator[Link]:
    """The ways to say which item of a producer's list is meant.

    For a target that changes something, the first item of a list that nobody spoke of is no way.
    """
    if not link.in_list:
        yield link
        return
    meant = things(view, param, link)
    for value in wish.values:
        if value.kind is Kind.ORDINAL and isinstance(value.value, int) and canonical(value.hints[0]) in meant:
            yield replace(link, index=value)
            return
    unused = [value for value in left if value not in step.all_used()]
    # What was looked up by its name is the first hit; of what merely belongs to something, no item is meant.
    searched = [value for value in step.used if value.kind in _NAMED]
    held = [
        (field, value)
        for value in [*unused, *(searched if wish.careful else ())]
        if (field := field_holding(link, value))
    ]
    yield from (replace(link, where=each) for each in held)
    if wish.clause.means_each(meant) or not wish.careful or (searched and not held):
        yield link
