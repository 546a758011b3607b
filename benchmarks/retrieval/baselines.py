"""What others would do with the same tools: cosine of MiniLM, BM25, and the two fused by reciprocal rank.

The forms are those of the open data's page, found by reproducing its table: the text of a tool is its name (group),
method and path, description and parameter names; BM25 is Okapi's with words that most texts hold at a quarter of the
mean weight (rank_bm25), every repeat in the prompt counts; fusion is over the first 200 of either. Everything is exact
and over the whole catalog; nothing of the product is used but the model.

A stronger pair is shown beside them: BM25 over stems without stop words, each word of the prompt once, and its fusion.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import Stemmer
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float32]  # shape (tools,)
Tokens: TypeAlias = Callable[[str], list[str]]
Idf: TypeAlias = Callable[
    [int, Sequence[int]], NDArray[np.float64]
]  # (texts, texts that hold each word) → weight of each

K1, B, EPSILON = 1.5, 0.75, 0.25  # rank_bm25's
RRF_K = 60  # Cormack, Clarke and Büttcher 2009
RRF_DEPTH = 200

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[a-z0-9]+")
_STOP_WORDS = """
    a an the of to in on for with and or is are was were be been i me my you your we our it its this that these those
    as at by from can could would will please about also some any have has had do does did what which who how when
    where if so not no
"""
_STOP = frozenset(_STOP_WORDS.split())


def text_of(name: str, group: str, method: str, path: str, description: str, parameters: Sequence[str]) -> str:
    """`path` is empty where none is known; the method alone says nothing."""
    route = f"{method} {path}" if path else ""
    text = f"{name} ({group}) {route}. {description}"
    return f"{text} Parameters: {', '.join(parameters)}" if parameters else text


def words(text: str) -> list[str]:
    """Lower-case words and numbers, camelCase split."""
    return _WORD.findall(_BOUNDARY.sub(" ", text).lower())


def stems(text: str) -> list[str]:
    """The same without stop words and single characters, stemmed as English (Snowball)."""
    return [_stem(word) for word in words(text) if len(word) > 1 and word not in _STOP]


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    stemmed: str = Stemmer.Stemmer("english").stemWord(word)
    return stemmed


def okapi(size: int, counts: Sequence[int]) -> NDArray[np.float64]:
    """ln((N - n + 1/2) / (n + 1/2)); where that is negative, a quarter of the mean over all words."""
    n = np.array(counts, dtype=np.float64)
    idf = np.log((size - n + 0.5) / (n + 0.5))
    floor = EPSILON * idf.mean() if len(idf) else 0.0
    return np.asarray(np.where(idf < 0, floor, idf))


def lucene(size: int, counts: Sequence[int]) -> NDArray[np.float64]:
    """ln(1 + (N - n + 1/2) / (n + 1/2)), never negative."""
    n = np.array(counts, dtype=np.float64)
    return np.asarray(np.log1p((size - n + 0.5) / (n + 0.5)))


class Bm25:
    def __init__(self, texts: Sequence[str], tokens: Tokens, idf: Idf, *, repeats: bool) -> None:
        """`repeats`: a word that a prompt holds twice counts twice."""
        self._tokens = tokens
        self._repeats = repeats
        self._size = len(texts)
        counts = [Counter(tokens(text)) for text in texts]
        lengths = np.array([count.total() for count in counts], dtype=np.float64)
        norm = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-9)) if self._size else lengths
        found: dict[str, list[tuple[int, int]]] = {}
        for tool, count in enumerate(counts):
            for word, times in count.items():
                found.setdefault(word, []).append((tool, times))
        weights = idf(self._size, [len(hits) for hits in found.values()])
        self._postings = {
            word: _posting(hits, float(weight), norm)
            for (word, hits), weight in zip(found.items(), weights, strict=True)
        }

    def scores(self, prompt: str) -> Scores:
        total = np.zeros(self._size, dtype=np.float32)
        for word, times in Counter(self._tokens(prompt)).items():
            posting = self._postings.get(word)
            if posting is not None:
                tools, weights = posting
                total[tools] += (times if self._repeats else 1) * weights
        return total


def _posting(
    hits: Sequence[tuple[int, int]], idf: float, norm: NDArray[np.float64]
) -> tuple[NDArray[np.int64], Scores]:
    """The tools that hold a word, and what it gives each of them. `norm`: K1 by each tool's length."""
    tools = np.array([tool for tool, _ in hits], dtype=np.int64)
    times = np.array([count for _, count in hits], dtype=np.float64)
    return tools, (idf * times * (K1 + 1) / (times + norm[tools])).astype(np.float32)


def best(scores: Scores, size: int) -> Iterator[int]:
    """Positions of the highest scores, best first, equal ones in catalog order."""
    if size < len(scores):
        least = np.partition(scores, len(scores) - size)[len(scores) - size]
        kept = np.flatnonzero(scores >= least)
    else:
        kept = np.arange(len(scores))
    order = kept[np.argsort(-scores[kept], kind="stable")][:size]
    return (int(at) for at in order)


def fused(*parts: Scores) -> Scores:
    """Reciprocal rank fusion of the first 200 of each; equal scores rank in catalog order."""
    total = np.zeros(len(parts[0]), dtype=np.float32)
    for scores in parts:
        first = np.fromiter(best(scores, RRF_DEPTH), dtype=np.int64)
        total[first] += 1 / (RRF_K + np.arange(1, len(first) + 1))
    return total


MINILM, BM25, RRF = "MiniLM", "BM25", "RRF"
PLAIN = (MINILM, BM25, RRF)  # the ones to beat
STEMMED = ("BM25 stemmed", "RRF stemmed")


@dataclass(frozen=True, slots=True)
class Baselines:
    """`texts` and `vectors`: one a tool, in catalog order; vectors are L2-normalised, of the same texts."""

    ids: Sequence[str]
    vectors: NDArray[np.float32]
    plain: Bm25
    stemmed: Bm25

    @classmethod
    def over(cls, ids: Sequence[str], texts: Sequence[str], vectors: NDArray[np.float32]) -> "Baselines":
        return cls(
            ids,
            vectors,
            Bm25(texts, words, okapi, repeats=True),
            Bm25(texts, stems, lucene, repeats=False),
        )

    def rankings(self, prompt: str, vector: NDArray[np.float32], size: int) -> Mapping[str, list[str]]:
        """The best `size` tools by method."""
        dense = np.asarray(self.vectors @ vector, dtype=np.float32)
        plain, stemmed = self.plain.scores(prompt), self.stemmed.scores(prompt)
        methods = {
            MINILM: dense,
            BM25: plain,
            RRF: fused(dense, plain),
            STEMMED[0]: stemmed,
            STEMMED[1]: fused(dense, stemmed),
        }
        return {name: [self.ids[at] for at in best(scores, size)] for name, scores in methods.items()}
