"""A tool of the group that holds the best match is likelier to be needed than its own words say: tasks stay within an
API. How much so is read off the pool, because groups may as well be catch-alls. Pure, arrays only."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
Table = NDArray[np.float64]

# From this share of variance between groups on, groups say all they can say.
COHERENT: Final = 0.2


def best_members(score: Column, group: NDArray[np.intp]) -> Column:
    """The best score in each row's group; `group`: numbers from 0, without gaps, shape (tools,)."""
    best = np.full(int(group.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, group, score)
    return best[group]


def group_trust(scores: Table, group: NDArray[np.intp]) -> float:
    """0 … 1: how much knowing a tool's group tells about its scores, shape (tools, parts).

    The intraclass correlation (one-way random effects, Fisher 1925; unequal groups as in Donner, 1986), averaged over
    the parts, as a share of COHERENT. About 0 for catch-alls and groups made at random, and for one group or groups of
    one, where there is nothing to tell; 0.5 … 0.8 for the APIs of a marketplace.
    """
    sizes = np.bincount(group).astype(np.float64)
    tools, groups = len(group), len(sizes)
    if groups < 2 or groups == tools:
        return 0.0
    deviation = scores - scores.mean(axis=0)
    means = np.zeros((groups, scores.shape[1]))
    np.add.at(means, group, deviation)
    means /= sizes[:, None]
    between = (sizes[:, None] * means**2).sum(axis=0) / (groups - 1)
    within = ((deviation - means[group]) ** 2).sum(axis=0) / (tools - groups)
    typical = (tools - (sizes**2).sum() / tools) / (groups - 1)
    spread = between + (typical - 1) * within
    correlation = np.divide(between - within, spread, out=np.zeros_like(spread), where=spread > 0)
    return float(np.clip(correlation.mean() / COHERENT, 0.0, 1.0))
