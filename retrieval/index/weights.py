"""How much each term of a query weighs in one catalog: what both indexes put into BM25. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from retrieval.lexical import inverse_document_frequency
from retrieval.query import Terms
from retrieval.text import lexeme_id


@dataclass(frozen=True, slots=True)
class PartWeights:
    """Weight × inverse document frequency of the part's terms that a tool holds: `by_lexeme`, and by lexeme number."""

    by_lexeme: Mapping[str, float]
    by_number: Mapping[int, float]


def weigh(parts: Iterable[Terms], counts: Mapping[str, int], documents: int) -> list[PartWeights]:
    """`counts`: how many of the catalog's `documents` hold a lexeme; those that none holds may be missing."""
    return [_weigh(terms, counts, documents) for terms in parts]


@dataclass(frozen=True, slots=True)
class Held:
    """How many documents hold a lexeme, and how many as one of their strongest."""

    tools: int
    strong: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Lexemes to look for in all documents that hold them, and in those alone that hold them strongly."""

    anywhere: Sequence[str]
    strongly: Sequence[str]


def wanted_terms(weights: Sequence[PartWeights], held: Mapping[str, Held], budget: int) -> Wanted:
    """What to look for so that at most `budget` documents are found: the parts take turns, each with its rarest first.

    A lexeme that more than a quarter of the budget hold is looked for where it is strong, and not at all where even
    that is too much: no common word makes a scan of the catalog.
    """
    turns = [iter(sorted((held[word].tools, word) for word in part.by_lexeme if word in held)) for part in weights]
    anywhere: dict[str, None] = {}
    strongly: dict[str, None] = {}
    left = budget
    for count, word in (one for turn in zip_longest(*turns) for one in turn if one is not None):
        if word in anywhere or word in strongly:
            continue
        if count <= min(left, budget // 4):
            anywhere[word] = None
            left -= count
        elif held[word].strong <= left:
            strongly[word] = None
            left -= held[word].strong
    return Wanted(list(anywhere), list(strongly))


def _weigh(terms: Terms, counts: Mapping[str, int], documents: int) -> PartWeights:
    by_lexeme = {
        lexeme: weight * inverse_document_frequency(documents, count)
        for lexeme, weight in terms.items()
        if (count := counts.get(lexeme, 0))
    }
    by_number: dict[int, float] = {}
    for lexeme, weight in by_lexeme.items():
        number = lexeme_id(lexeme)
        by_number[number] = by_number.get(number, 0.0) + weight
    return PartWeights(by_lexeme, by_number)
