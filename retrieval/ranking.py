"""A pool in its order: what each tool's scores say of it, as contributions that add up. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ids import ToolId
from models.retrieval import RankingWeights
from retrieval.query import IndexedTool, Pool, Ranked
from retrieval.scenarios.boosts import Boosts

Column = NDArray[np.float64]

LEXICAL: Final = 0.7
CLAUSES: Final = 0.5
GROUPS: Final = 0.6


def rank(pool: Pool, boosts: Boosts, weights: RankingWeights) -> Ranked:
    """Standardised over the pool: what the vectors say of the whole prompt and of its nearest clause, and the text;
    then the best member of a tool's group, then boosts as they are."""
    dense, lexical = _standard(pool.dense), _standard(pool.lexical)
    own = {
        "dense": weights.dense * dense[:, 0],
        "lexical": weights.lexical * LEXICAL * lexical[:, 0],
        "clauses": weights.clauses * CLAUSES * dense[:, 1:].max(axis=1, initial=-np.inf)
        if dense.shape[1] > 1
        else np.zeros(len(pool.tools)),
    }
    base = np.sum(list(own.values()), axis=0)
    contributions = {
        **own,
        "groups": weights.groups * GROUPS * _best_of_group(base, pool.tools),
        "scenario": _boosts(pool.tools, boosts.scenario),
        "usage": _boosts(pool.tools, boosts.usage),
    }
    score = np.sum(list(contributions.values()), axis=0)
    names = np.array([tool.name for tool in pool.tools])
    return Ranked(np.lexsort((names, -score)), score, contributions)


def _standard(scores: NDArray[np.float32]) -> Column:
    """Columns with mean 0 and deviation 1; a missing score stands for the worst that was seen."""
    wide = scores.astype(np.float64)
    if not wide.size or np.isnan(wide).all():
        return np.zeros_like(wide)
    wide = np.where(np.isnan(wide), np.nanmin(wide), wide)
    spread = wide.std(axis=0)
    standard: Column = (wide - wide.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return standard


def _best_of_group(base: Column, tools: Sequence[IndexedTool]) -> Column:
    best: dict[str, float] = {}
    for tool, score in zip(tools, base, strict=True):
        best[tool.group] = max(best.get(tool.group, -np.inf), float(score))
    return np.array([best[tool.group] for tool in tools], dtype=np.float64)


def _boosts(tools: Sequence[IndexedTool], boosts: Mapping[ToolId, float]) -> Column:
    return np.array([boosts.get(tool.tool_id, 0.0) for tool in tools], dtype=np.float64)
