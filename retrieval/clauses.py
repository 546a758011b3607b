"""The intents of a prompt: where its sentences and the parts of its lists begin and end. Pure, language-neutral marks
with English and a few other conjunctions."""

import re
from bisect import bisect_left
from typing import Final

MAX_CLAUSES: Final = 8
MAX_READ: Final = 8_000  # characters; the model reads about 1,100 of them at once
_MIN_WORDS: Final = 3
_MIN_UNSPACED: Final = 6

_QUOTED = re.compile(
    r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|«[^»\n]{1,200}»|「[^」\n]{1,200}」|`[^`\n]{1,200}`|(?<!\w)'[^'\n]{1,200}'(?!\w)"
)
_BREAK = re.compile(
    r"(?<=[.!?;])\s+|[。！？；、]+|\n+"
    r"|,?\s{1,4}(?:and|also|then|additionally|as\s+well\s+as|plus|und|dann|sowie|et|puis|y|luego|e|poi|en|i|och|и|затем)\s{1,4}"
    r"|,\s+|，"
)
_WORD = re.compile(r"\w+")


def clause_spans(text: str) -> list[tuple[int, int]]:
    """Character spans of the clauses of `text`, in order, apart from each other; none where it has fewer than two.

    At most MAX_CLAUSES: the longest. Marks within quotes do not separate.
    """
    text = text[:MAX_READ]
    quotes = [match.span() for match in _QUOTED.finditer(text)]
    spans, start = [], 0
    for mark in _BREAK.finditer(text):
        if _within(mark.span(), quotes):
            continue
        spans.append((start, mark.start()))
        start = mark.end()
    spans.append((start, len(text)))
    clauses = [span for span in spans if _says_something(text[slice(*span)])]
    if len(clauses) < 2:
        return []
    longest = sorted(clauses, key=lambda span: span[0] - span[1])[:MAX_CLAUSES]
    return sorted(longest)


def _within(mark: tuple[int, int], quotes: list[tuple[int, int]]) -> bool:
    """Whether the mark overlaps one of the quotes, which are in order and apart."""
    at = bisect_left(quotes, mark[1], key=lambda quote: quote[0]) - 1
    return at >= 0 and quotes[at][1] > mark[0]


def _says_something(clause: str) -> bool:
    words = _WORD.findall(clause)
    return len(words) >= _MIN_WORDS or any(not word.isascii() and len(word) >= _MIN_UNSPACED for word in words)
