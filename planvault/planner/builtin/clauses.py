"""One prompt, cut into the things it asks for."""

import re
from dataclasses import dataclass

from planvault.planner.builtin.values import Kind, Mention
from planvault.planner.builtin.verbs import Intent, is_verb, leading_verb
from planvault.planner.builtin.words import canonical, content, split, stem

_SEPARATOR = re.compile(
    r"[.!?]+(?=\s|$)|[;\n]+|,?\s+(?:and\s+)?(?:then|after that|afterwards|finally|next(?=,))\s+|,\s*and\s+|,\s+|\s+and(?:\s+also)?\s+",
    re.I,
)
_HARD = re.compile(r"[.!?;\n]|then|after that|afterwards|finally|next,", re.I)
_NAMING = re.compile(r"(?:name|call|title) (?:it|them|this|him|her)\b", re.I)
_EACH = re.compile(
    r"\b(each|every|all of (?:them|these|those)|for all|everyone|everybody|one by one|all (?:the |my |of )?\w+s)\b",
    re.I,
)
_CONDITION = re.compile(r"\b(if|unless|otherwise|only when|in case|depending on|whenever|as soon as)\b", re.I)
_NEGATED = re.compile(r"\b(?:do not|don['’]?t|never|without)\s+\w+", re.I)
_COUNT = re.compile(r"\b(how many|number of|count(?: of)?)\b", re.I)


@dataclass(frozen=True, slots=True)
class Clause:
    text: str
    words: tuple[str, ...]  # content words in canonical form, values left out
    verb: tuple[str, Intent] | None
    mentions: tuple[Mention, ...]
    each: bool = False  # asks for something to be done to every item
    conditional: bool = False
    negated: bool = False
    counts: bool = False
    ordinal: int | None = None  # `third` → 2


def clauses(text: str, found: tuple[Mention, ...]) -> tuple[Clause, ...]:
    """The prompt's clauses in order. `found` are the prompt's values; a separator inside a value separates nothing."""
    cuts = _cuts(text, found)
    spans = list(zip([0, *[end for _, end in cuts]], [*[start for start, _ in cuts], len(text)], strict=True))
    return tuple(clause for start, end in spans if (clause := _clause(text, start, end, found)) is not None)


def _cuts(text: str, found: tuple[Mention, ...]) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    for match in _SEPARATOR.finditer(text):
        if any(each.start < match.end() and match.start() < each.end for each in found):
            continue
        if _NAMING.match(text, match.end()):  # “… and name it Quiet” belongs to what was just made
            continue
        following = split(text[match.end() :])[:1]
        # `and` and a comma join nouns as well; only a verb after them begins something new.
        if _HARD.search(match[0]) or (following and is_verb(following[0])):
            cuts.append(match.span())
    return cuts


def _clause(text: str, start: int, end: int, found: tuple[Mention, ...]) -> Clause | None:
    inside = tuple(each for each in found if start <= each.start < end)
    bare = _without(text, start, end, inside)
    piece = text[start:end].strip()
    if not piece:
        return None
    every = split(bare)
    verb = leading_verb(piece)
    words = tuple(
        word for word in content(every) if verb is None or verb[1] is Intent.ACT or word != canonical(verb[0])
    )
    ordinal = next((each.value for each in inside if each.kind is Kind.ORDINAL), None)
    return Clause(
        text=piece,
        words=words,
        verb=verb,
        mentions=inside,
        each=bool(_EACH.search(bare)),
        conditional=bool(_CONDITION.search(bare)),
        negated=bool(_NEGATED.search(bare)),
        counts=bool(_COUNT.search(bare)),
        ordinal=ordinal - 1 if isinstance(ordinal, int) else None,
    )


def _without(text: str, start: int, end: int, inside: tuple[Mention, ...]) -> str:
    """The clause's text with its values blanked out: what they say selects no tool."""
    pieces, at = [], start
    for mention in inside:
        pieces.append(text[at : mention.start])
        at = mention.end
    pieces.append(text[at:end])
    return " ".join(pieces)


def negates(clause: Clause, verb: str) -> bool:
    """Whether the clause says not to do that."""
    match = _NEGATED.search(clause.text)
    return match is not None and stem(split(match[0])[-1]) == stem(verb)
