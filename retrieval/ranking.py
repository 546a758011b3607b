"""A pool in its order: what each tool's scores say of it, as contributions that add up. Pure.

A part of the prompt matches a tool by its cosine and by BM25, both on fixed scales: a candidate's own match does not
depend on who else is in the pool. A tool's score is the match of the whole prompt, that of its best clause, what the
best members of its group and of its integration lend it, its place among the best of a clause, boosts, and a pull
towards tools that need what it gives (docs/retrieval-ablations.md).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ids import ToolId
from models.retrieval import RankingWeights
from retrieval.groups_boost import best_members, group_trust
from retrieval.producers import pull
from retrieval.query import IndexedTool, Pool, Ranked
from retrieval.scenarios.boosts import Boosts

Column = NDArray[np.float64]
Table = NDArray[np.float64]
Raw = NDArray[np.float32]

# One unit is about the standard deviation of cosines in a pool: a cosine counts 8, a nat of BM25's evidence 0.45.
DENSE: Final = 8.0
LEXICAL: Final = 0.45
GROUPS: Final = 0.6  # of the best member's own score
INTEGRATION: Final = 0.4  # the same among an integration's tools, whose groups may be no more than tags
QUOTA: Final = 1.6  # to the first of a clause; to the second half of it, to the third a third
QUOTA_PLACES: Final = 3
LINKS: Final = 0.7  # of the way from a producer to the tool that needs it


def rank(pool: Pool, boosts: Boosts, weights: RankingWeights) -> Ranked:
    """The order does not depend on the pool's; equal scores stand by name."""
    names = [tool.name for tool in pool.tools]
    by_name = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.intp)
    tools = [pool.tools[row] for row in by_name]
    contributions = _contributions(tools, pool.dense[by_name], pool.lexical[by_name], boosts, weights)
    score = np.sum(list(contributions.values()), axis=0)
    place = np.empty_like(by_name)
    place[by_name] = np.arange(len(by_name))
    order = by_name[np.argsort(-score, kind="stable")]
    return Ranked(order, score[place], {name: part[place] for name, part in contributions.items()})


def _contributions(
    tools: Sequence[IndexedTool], cosines: Raw, bm25: Raw, boosts: Boosts, weights: RankingWeights
) -> dict[str, Column]:
    dense = weights.dense * DENSE * _known(cosines)
    lexical = weights.lexical * LEXICAL * bm25.astype(np.float64)
    match = dense + lexical
    clauses = weights.clauses * (match[:, 1:] if match.shape[1] > 1 else match).max(axis=1, initial=-np.inf)
    own = match[:, 0] + clauses
    group = _numbered([(tool.integration_id.int, tool.group) for tool in tools])
    integration = _numbered([(tool.integration_id.int, "") for tool in tools])
    told = dense if dense.any() else lexical
    trust = weights.groups * GROUPS * group_trust(told, group)
    contributions = {
        "dense": dense[:, 0],
        "lexical": lexical[:, 0],
        "clauses": clauses,
        "quota": weights.clauses * QUOTA * _places(match[:, 1:], group, trust),
        "groups": trust * best_members(own, group),
        "integration": weights.groups * INTEGRATION * group_trust(told, integration) * best_members(own, integration),
        "scenario": _boosts(tools, boosts.scenario),
        "usage": _boosts(tools, boosts.usage),
    }
    contributions["links"] = weights.links * LINKS * pull(tools, np.sum(list(contributions.values()), axis=0))
    return contributions


def _known(dense: Raw) -> Table:
    """A tool without a vector stands in the middle of those with one; without any vector nothing is said."""
    unknown = np.isnan(dense)
    if not unknown.any():
        return dense.astype(np.float64)
    if unknown.all():
        return np.zeros(dense.shape)
    return np.where(unknown, np.nanmedian(dense, axis=0), dense).astype(np.float64)


def _places(clauses: Table, group: NDArray[np.intp], trust: float) -> Column:
    """1, 1/2, 1/3 for the first tools of each clause, the best place counts: no clause is crowded out by a longer one.

    A tool whose group has the better match goes first among near equals; a clause that knows no difference gives none.
    """
    share = np.zeros(len(clauses))
    for clause in clauses.T if len(clauses) else ():
        first = np.argsort(-(clause + trust / 2 * best_members(clause, group)), kind="stable")[:QUOTA_PLACES]
        first = first[clause[first] > np.median(clause)]
        share[first] = np.maximum(share[first], 1.0 / np.arange(1, len(first) + 1))
    return share


def _numbered(groups: Sequence[tuple[int, str]]) -> NDArray[np.intp]:
    number: dict[tuple[int, str], int] = {}
    return np.array([number.setdefault(group, len(number)) for group in groups], dtype=np.intp)


def _boosts(tools: Sequence[IndexedTool], boosts: Mapping[ToolId, float]) -> Column:
    if not boosts:
        return np.zeros(len(tools))
    return np.array([boosts.get(tool.tool_id, 0.0) for tool in tools], dtype=np.float64)
