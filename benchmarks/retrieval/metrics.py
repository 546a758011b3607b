"""Recall, completeness and NDCG of a ranking against needed tools, some of which any of several tools can be. Pure.

A prompt needs `slots`; a ranked tool can meet one slot that lists it, and a slot is met once. How many slots the first
k tools meet is a maximum bipartite matching, found by augmenting paths (Kuhn 1955) while walking down the ranking: each
tool either raises it by one, its gain, or by nothing. The gains hence do not depend on which slot a tool is given, and
where every slot has one tool they are the usual hits.

    R@k     Σ gains of the first k / slots
    C@k     1 where R@k is 1
    NDCG@k  Σ gain at rank r / log2(r + 1), r ≤ k, by the same sum of min(slots, k) gains at the top (Järvelin and
            Kekäläinen 2002)
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

RECALL_AT = (5, 10, 30)
COMPLETE_AT = 30
NDCG_AT = 10
LEVEL = 0.95

Slots = Sequence[frozenset[str]]
Figures = Mapping[str, float]  # by the metric's name; 0 … 1


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its percentile-bootstrap interval over queries, all in percent."""

    mean: float
    low: float
    high: float


def gains(ranking: Sequence[str], slots: Slots) -> list[int]:
    """By how many slots each ranked tool raises what can be met with the tools up to it: 0 or 1; repeats left out."""
    met_by: dict[int, str] = {}
    found = []
    for tool in dict.fromkeys(ranking):
        found.append(int(_augment(tool, slots, met_by, set())))
    return found


def _augment(tool: str, slots: Slots, met_by: dict[int, str], tried: set[int]) -> bool:
    """Give `tool` a slot, moving the tools that hold one where they can meet another."""
    for number, slot in enumerate(slots):
        if tool not in slot or number in tried:
            continue
        tried.add(number)
        if number not in met_by or _augment(met_by[number], slots, met_by, tried):
            met_by[number] = tool
            return True
    return False


def figures(ranking: Sequence[str], slots: Slots, recall_at: Collection[int] = RECALL_AT) -> Figures:
    """The metrics of one prompt. `slots` is not empty."""
    gained = gains(ranking, slots)
    found = {f"R@{k}": sum(gained[:k]) / len(slots) for k in recall_at}
    found[f"C@{COMPLETE_AT}"] = float(sum(gained[:COMPLETE_AT]) == len(slots))
    ideal = _discounted([1] * min(len(slots), NDCG_AT))
    return found | {f"NDCG@{NDCG_AT}": _discounted(gained[:NDCG_AT]) / ideal}


def _discounted(gained: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gained, 1))


def intervals(scored: Sequence[Figures], *, seed: int, rounds: int = 2_000) -> dict[str, Interval]:
    """Each metric over all prompts. The same seed draws the same queries for every method over the same prompts."""
    if not scored:
        return {}
    table = np.array([list(one.values()) for one in scored], dtype=np.float64)
    means = _resampled(table, seed, rounds)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    names = list(scored[0])
    mean = table.mean(axis=0)
    return {
        name: Interval(*(round(100 * float(column[at]), 2) for column in (mean, low, high)))
        for at, name in enumerate(names)
    }


def difference(ours: Sequence[Figures], others: Sequence[Figures], *, seed: int) -> dict[str, Interval]:
    """Ours minus the other's, prompt by prompt: tells a difference from noise better than two intervals."""
    paired = [{name: one[name] - other[name] for name in one} for one, other in zip(ours, others, strict=True)]
    return intervals(paired, seed=seed)


def _resampled(table: NDArray[np.float64], seed: int, rounds: int) -> NDArray[np.float64]:
    """Means of `rounds` draws with replacement, shape (rounds, metrics)."""
    random = np.random.default_rng(seed)
    size = len(table)
    # How often each prompt is drawn is multinomial: one matrix product instead of `rounds` copies of the table.
    drawn = random.multinomial(size, np.full(size, 1 / size), size=rounds)
    means: NDArray[np.float64] = drawn @ table / size
    return means
