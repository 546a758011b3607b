"""One prompt, cut into the things it asks for."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from planvault.planner.builtin.english import STOP_WORDS
from planvault.planner.builtin.toolview import Vocabulary
from planvault.planner.builtin.values import Mention
from planvault.planner.builtin.verbs import Intent, Verb, is_verb, leading_verb
from planvault.planner.builtin.words import canonical, content, split

_THEN = r"then|after that|afterwards|finally|next(?=,)"
_SEPARATOR = re.compile(
    rf"[.!?]+(?=\s|$)|[;\n]+|,?\s+(?:and\s+)?(?:{_THEN})\s+|,\s*and\s+|,\s+|\s+and(?:\s+also)?\s+", re.IGNORECASE
)
_HARD = re.compile(rf"[.!?;\n]|{_THEN}", re.IGNORECASE)
_NAMING = re.compile(r"(?:name|call|title) (?:it|them|this|him|her)\b", re.IGNORECASE)
_EACH = re.compile(r"\b(?:each|every|all)((?:\s+\w+){1,4})|\b(?:everyone|everybody|one by one)\b", re.IGNORECASE)
_ANY = "*"
_CONDITION = re.compile(
    r"\b(?:if|unless|otherwise|only when|in case|depending on|whenever|as soon as)\b|"
    r"\b(?:except|excluding|apart from|other than|all but|but (?:not|keep|leave)|and not)\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:do not|don['’]?t|never)\s+(\w+)", re.IGNORECASE)
# Before the verb that would order something, these take the order back: “I never asked to …”, “undo the …”.
_TAKEN_BACK = re.compile(
    r"\b(?:not|never|without|undo|revert|avoid|prevent|dont|didnt)\b|n['’]t\b|"
    r"^\W*(?:should|shall|can|could|may|might|must|would|will|did)\s+(?:i|we|it|he|she|they|this|that)\b",
    re.IGNORECASE,
)
_REFERS = re.compile(r"\b(it|its|them|their|they|his|him|her|hers|that|those|these)\b", re.IGNORECASE)
_ARTICLES = frozenset({"the", "a", "an", "my", "his", "her", "their", "its"})
_COUNT = re.compile(r"\b(how many|number of|count(?: of)?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clause:
    text: str
    words: tuple[str, ...]  # content words in canonical form, values left out
    verb: tuple[str, Intent] | None
    mentions: tuple[Mention, ...]
    each: frozenset[str] = frozenset()  # things of which every one is meant; `*` for “each of them”
    conditional: bool = False
    negated: bool = False
    counts: bool = False
    refers: bool = False  # to something that was spoken of before: `it`, `his`, `their`

    def means_each(self, things: Collection[str]) -> bool:
        """Whether something is to be done with every one of these, and not with one of them."""
        return _ANY in self.each or not self.each.isdisjoint(things)


def clauses(text: str, found: tuple[Mention, ...], vocabulary: Vocabulary) -> tuple[Clause, ...]:
    """The prompt's clauses in order. `found` are the prompt's values; a separator inside a value separates nothing."""
    cuts = _cuts(text, found, vocabulary)
    spans = list(zip([0, *[end for _, end in cuts]], [*[start for start, _ in cuts], len(text)], strict=True))
    parts: list[Clause] = []
    for start, end in spans:
        clause = _clause(text, start, end, found, vocabulary)
        if clause is not None and parts and clause.verb is None:
            clause = replace(clause, verb=parts[-1].verb)
        parts += [clause] if clause is not None else []
    return tuple(parts)


def _cuts(text: str, found: tuple[Mention, ...], vocabulary: Vocabulary) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    for match in _SEPARATOR.finditer(text):
        if any(each.start < match.end() and match.start() < each.end for each in found):
            continue
        if _NAMING.match(text, match.end()):  # “… and name it Quiet” belongs to what was just made
            continue
        if _HARD.search(match[0]) or _begins_anew(text, match.end(), found, vocabulary):
            cuts.append(match.span())
    return cuts


def _begins_anew(text: str, at: int, found: tuple[Mention, ...], vocabulary: Vocabulary) -> bool:
    """`and` and a comma join words as well. What begins something new is a verb, or a thing with its value.

    “show order 7 and customer 5”: the second half takes the first one's verb.
    """
    words = list(re.finditer(r"\w+", text[at : at + 80]))[:3]
    if not words:
        return False
    if _orders(words[0][0], vocabulary):
        return True
    while words and words[0][0].lower() in _ARTICLES:
        words = words[1:]
    if not words or canonical(words[0][0].lower()) not in vocabulary.things:
        return False
    behind = at + words[0].end()
    return any(each.start <= at for each in found) and any(0 < each.start - behind <= 2 for each in found)


def _orders(word: str, vocabulary: Vocabulary) -> bool:
    word = word.lower()
    return word not in STOP_WORDS and (is_verb(word) or canonical(word) in vocabulary.actions)


def _clause(text: str, start: int, end: int, found: tuple[Mention, ...], vocabulary: Vocabulary) -> Clause | None:
    inside = tuple(each for each in found if start <= each.start < end)
    bare = _without(text, start, end, inside)
    piece = text[start:end].strip()
    if not piece:
        return None
    every = split(bare)
    verb = leading_verb(piece, vocabulary.actions)
    words = tuple(
        word for word in content(every) if verb is None or verb[1] is Intent.ACT or word != canonical(verb[0])
    )
    return Clause(
        text=piece,
        words=words,
        verb=verb,
        mentions=inside,
        each=_each(bare),
        conditional=bool(_CONDITION.search(bare)),
        negated=any(_orders(match[1], vocabulary) for match in _NEGATED.finditer(bare)) or _taken_back(piece, verb),
        counts=bool(_COUNT.search(bare)),
        refers=bool(_REFERS.search(bare)),
    )


def _taken_back(text: str, verb: Verb | None) -> bool:
    """Whether what stands before the verb makes it no order. “Should I cancel it?” asks, and does not order."""
    if verb is None or verb[1] is Intent.READ:
        return False
    return _TAKEN_BACK.search(text[: text.lower().find(verb[0])] if verb[0] in text.lower() else "") is not None


def _each(text: str) -> frozenset[str]:
    """“every open order” → open, order: its noun is among the words behind it."""
    found: set[str] = set()
    for match in _EACH.finditer(text):
        words = split(match[1] or "")
        found |= {canonical(word) for word in words if word not in STOP_WORDS}
        if not words or {"them", "these", "those", "one"} & set(words):
            found.add(_ANY)
    return frozenset(found)


def _without(text: str, start: int, end: int, inside: tuple[Mention, ...]) -> str:
    """The clause's text with its values blanked out: what they say selects no tool."""
    pieces, at = [], start
    for mention in inside:
        pieces.append(text[at : mention.start])
        at = mention.end
    pieces.append(text[at:end])
    return " ".join(pieces)
