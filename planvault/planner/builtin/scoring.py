"""How well a chain of calls answers a clause.

It gains what it accounts for: words of the clause that name its tools, values that it uses. It pays for further tools,
for questions to the user, for words of its tools that nobody said, and for links that are guesses.
"""

from collections.abc import Collection, Sequence

from planvault.planner.builtin.clauses import Clause
from planvault.planner.builtin.links import things
from planvault.planner.builtin.steps import Chain, Step, Wish
from planvault.planner.builtin.toolview import ToolView, rarity
from planvault.planner.builtin.verbs import fits_method, writes
from planvault.planner.builtin.words import canonical

_VALUE = 1.2  # what a value weighs beside the average word
_TOOL, _SLOT, _UNSAID, _GUESS = 0.09, 0.14, 0.3, 0.1
_RANK, _FOLLOWS, _METHOD, _KNOWN = 0.06, 0.08, 0.06, 0.1
_FILTER = 0.1  # a list may have more pages than the one that is looked through
_UNKNOWN = 0.5  # weight of a word that no tool has
_DELETE = canonical("delete")
_WEAK_READ, _WEAK_WRITE, _WEAK = 0.2, 0.45, 0.05


class Scorer:
    """Weighs words by how well they tell the tools of one shortlist apart."""

    def __init__(self, tools: Sequence[ToolView]) -> None:
        self._rarity = rarity(tools)
        self._size = max(len(tools), 1)
        self._mass = {view.tool.name: sum(map(self.weight, view.head)) for view in tools}

    def knows(self, word: str) -> bool:
        return word in self._rarity

    def weight(self, word: str) -> float:
        return self._rarity.get(word, _UNKNOWN)

    def overlap(self, words: Sequence[str], tools: Sequence[ToolView]) -> float:
        """The weight of the words that the tools answer to."""
        return sum(self.weight(word) * max(view.weights.get(word, 0.0) for view in tools) for word in words)

    def unsaid(self, clause: Clause, view: ToolView) -> float:
        """The share of a tool's own words that the clause does not say, 0…1."""
        mass = self._mass[view.tool.name]
        return sum(self.weight(word) for word in view.head if word not in clause.words) / mass if mass else 0.0

    def chain(self, step: Step, wish: Wish) -> Chain:
        clause, steps = wish.clause, step.steps()
        new = [each for each in steps if each not in wish.earlier]
        mass = sum(map(self.weight, clause.words))
        covered = self.overlap(clause.words, [each.view for each in new] or [step.view])
        value = _VALUE * (mass / len(clause.words) if clause.words else 1.0)
        given, used = len(wish.values), len(step.all_used())
        total = mass + value * given
        score = (covered + value * used) / total if total else 0.0
        score -= _TOOL * (len(new) - 1) + _SLOT * sum(len(each.asked) for each in steps)
        score -= _UNSAID * self.unsaid(clause, step.view)
        score -= _UNSAID / 2 * sum(self.unsaid(clause, each.view) for each in new if each is not step)
        score -= _GUESS * sum(1 - link.strength for each in steps for _, link in each.linked.values())
        score -= _GUESS * sum(_is_arbitrary(each, name, clause) for each in steps for name in each.linked)
        score -= _FILTER * sum(link.where is not None for each in steps for _, link in each.linked.values())
        score += _RANK * (1 - step.view.rank / self._size)
        score += _FOLLOWS if len(new) < len(steps) else 0.0
        score += _KNOWN * sum(each.known for each in steps)
        score += _METHOD if fits_method(clause.verb, step.view.tool) else 0.0
        own = self.overlap(clause.words, (step.view,))
        return Chain(step, score, covered / mass if mass else 0.0, own / mass if mass else 0.0)


def _is_arbitrary(step: Step, name: str, clause: Clause) -> bool:
    """Whether the first item of a list is taken although nothing says that it is meant."""
    producer, link = step.linked[name]
    if not link.in_list or link.where is not None or link.index is not None or producer.all_used():
        return False
    param = step.view.tool.param(name)
    return param is None or not clause.means_each(things(step.view, param, link))


def is_weak(chain: Chain, wish: Wish) -> bool:
    """Whether a chain rests on too little to be run.

    What changes something needs more: its own words must say what it changes, and every value that the clause gives
    must have found its place, unless a person is asked anyway.
    """
    tool, clause = chain.target.view, wish.clause
    if chain.score < _WEAK or chain.words < _WEAK_READ:
        return True
    if not writes(tool.tool):
        return False
    spare = any(value not in chain.target.all_used() for value in clause.mentions)
    return chain.own < _WEAK_WRITE or not is_about(chain, clause) or (spare and not chain.questions)


def is_about(chain: Chain, clause: Clause) -> bool:
    """Whether the clause says a word of the target's own name: what it does it to, or how it is called."""
    head = chain.target.view.head
    return not head or any(word in head for word in clause.words)


def is_told(step: Step, clause: Clause, nouns: Collection[str]) -> bool:
    """Whether the clause says what a destructive call destroys: all of it, where the call picks nothing.

    “Delete the movie” is not told to delete its rating, and “delete the orders of customer 5” no customer: of the
    `nouns`, which name what the shortlist is about, the first is what is meant, and the calls must know the others.
    “Delete the bucket library” is not told to delete every bucket: that takes an “all” or “every”, and no word beside
    it that might mean only some.
    """
    view, said = step.view, set(clause.words)
    spoken = [word for word in clause.words if word in nouns]
    known = frozenset[str]().union(*(each.view.subjects for each in step.steps()))
    if any(word not in known for word in spoken) or any(word not in view.subjects for word in spoken[:1]):
        return False
    if clause.verb is not None and canonical(clause.verb[0]) == _DELETE and view.head and view.resource not in said:
        return False
    given = {*step.exprs, *step.linked, *(param.name for param in step.asked)}
    if not view.collection or any(param.name in given for param in view.picking):
        return True
    return clause.means_each({view.collection}) and said <= view.weights.keys()
