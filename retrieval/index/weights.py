"""How much each term of a query weighs in one catalog: what both indexes put into BM25. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.lexical import inverse_document_frequency
from retrieval.query import Terms
from retrieval.text import lexeme_id

# Of a part. A prompt of 33,000 characters in a script without spaces has more, and pgvector's sparse vectors end at
# 16,000.
MAX_TERMS: Final = 2_000


@dataclass(frozen=True, slots=True)
class PartWeights:
    """`by_lexeme`: weight × inverse document frequency of the part's terms. `by_number`: the same by lexeme number, of
    those that a tool holds; the MAX_TERMS heaviest."""

    by_lexeme: Mapping[str, float]
    by_number: Mapping[int, float]


def weigh(parts: Iterable[Terms], counts: Mapping[str, int], documents: int) -> list[PartWeights]:
    """`counts`: how many of the catalog's `documents` hold a lexeme; those that none holds may be missing."""
    return [_weigh(terms, counts, documents) for terms in parts]


def ceilings(weights: Sequence[PartWeights]) -> NDArray[np.float32]:
    """The score of a document that says nothing but every term of the part, endlessly: impacts stay below 1."""
    return np.array([sum(part.by_lexeme.values()) for part in weights], dtype=np.float32)


def rare_terms(weights: Sequence[PartWeights], counts: Mapping[str, int], budget: int) -> list[str]:
    """The lexemes to look for, so that about `budget` documents are found: of each part the rarest first.

    A part's share goes to its terms in the order of rarity until it is used up; a term with more documents than that
    is left out, so that no common word makes a scan of the whole catalog. Terms that no document holds find nothing.
    """
    share = max(budget // max(len(weights), 1), 1)
    chosen: dict[str, None] = {}
    for part in weights:
        left = share
        for lexeme in sorted(part.by_lexeme, key=lambda lexeme: (counts.get(lexeme, 0), lexeme)):
            held = counts.get(lexeme, 0)
            if held > left:
                break
            left -= held
            if held:
                chosen[lexeme] = None
    return list(chosen)


def _weigh(terms: Terms, counts: Mapping[str, int], documents: int) -> PartWeights:
    by_lexeme = {
        lexeme: weight * inverse_document_frequency(documents, counts.get(lexeme, 0))
        for lexeme, weight in terms.items()
    }
    by_number: dict[int, float] = {}
    held = sorted((lexeme for lexeme in by_lexeme if counts.get(lexeme)), key=lambda lexeme: -by_lexeme[lexeme])
    for lexeme in held[:MAX_TERMS]:
        weight, number = by_lexeme[lexeme], lexeme_id(lexeme)
        by_number[number] = by_number.get(number, 0.0) + weight
    return PartWeights(by_lexeme, by_number)
