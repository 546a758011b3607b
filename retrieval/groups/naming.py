"""Names of sub-clusters that a person understands: the words of their tools that their siblings use less. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from retrieval.documents import words_of

_WORDS: Final = 3
_SHORTEST: Final = 3
_LONGEST_NAME: Final = 120
_LISTED: Final = 3


def cluster_names(base: str, clusters: Sequence[Sequence[str]]) -> list[str]:
    """One name a cluster, no two alike: `base: word · word · word`. `clusters`: the tools' names of each."""
    counts = [Counter(word for name in cluster for word in _words(name)) for cluster in clusters]
    total = sum(counts, Counter[str]())
    sizes = [len(cluster) for cluster in clusters]
    typical = [_typical(count, size, total, sum(sizes)) for count, size in zip(counts, sizes, strict=True)]
    return _told_apart([": ".join(filter(None, (base, " · ".join(words)))) for words in typical])


def pooled_name(groups: Sequence[str]) -> str:
    """Of a cluster of small groups: the groups themselves, as far as they can be listed."""
    names = sorted(set(groups))
    more = len(names) - _LISTED
    listed = ", ".join(names[:_LISTED])
    return _shorten(f"{listed} and {more} more" if more > 0 else listed)


def _typical(count: Counter[str], size: int, total: Counter[str], tools: int) -> list[str]:
    """Words that many tools of the cluster carry and few others do: share × log(share / share of all), ties by word."""

    def weight(word: str) -> float:
        share, of_all = count[word] / size, total[word] / tools
        return share * math.log(1.0 + share / of_all)

    return sorted(count, key=lambda word: (-weight(word), word))[:_WORDS]


def _words(name: str) -> set[str]:
    words = words_of(name).split()
    return {word for word in words if (len(word) >= _SHORTEST or not word.isascii()) and not word.isdigit()}


def _told_apart(names: Sequence[str]) -> list[str]:
    seen = Counter[str]()
    told: list[str] = []
    for name in names:
        seen[name] += 1
        number = f" ({seen[name]})" if seen[name] > 1 else ""
        told.append(_shorten(name, _LONGEST_NAME - len(number)) + number)
    return told


def _shorten(text: str, limit: int = _LONGEST_NAME) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
