"""A shortlist whose tools ask for inputs that none of its tools gives is no use: producers are pulled towards the tools
that need them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId
from retrieval.query import IndexedTool, Pool, Ranked

Column = NDArray[np.float64]
# What an integration's tools ask each other for.
Need: TypeAlias = tuple[IntegrationId, str]

CONSUMERS: Final = 30  # as far down a ranking as a usual shortlist reaches
FEW: Final = 3  # with fewer producers of an input among the candidates it is worth asking the index for more
MAX_NEEDS: Final = 32


@dataclass(frozen=True, slots=True)
class Lacking:
    """What to ask the index for: producers of these entities within these integrations."""

    integrations: tuple[IntegrationId, ...]
    entities: tuple[str, ...]


def pull(tools: Sequence[IndexedTool], score: Column) -> Column:
    """0 … 1 times the way from each producer up to the best tool that needs it; shape (tools,).

    Never past that tool. Of many producers each is pulled less, by the fourth root of their number: none of them is
    likely to be the one.
    """
    needs = _needs(tools, score)
    givers: dict[Need, list[int]] = {need: [] for need in needs}
    for row, need in _given(tools, needs):
        givers[need].append(row)
    pulled = np.zeros(len(tools))
    for need, rows in givers.items():
        way = np.maximum(needs[need] - score[rows], 0.0)
        np.maximum.at(pulled, rows, way / max(len(rows), 1) ** 0.25)
    return pulled


def lacking(pool: Pool, ranked: Ranked) -> Lacking | None:
    """The inputs of the best tools that hardly any candidate gives; None where the candidates suffice."""
    needs = _needs(pool.tools, ranked.score)
    count = dict.fromkeys(needs, 0)
    for _, need in _given(pool.tools, needs):
        count[need] += 1
    few = [need for need, found in count.items() if found < FEW][:MAX_NEEDS]
    if not few:
        return None
    integrations, entities = zip(*few, strict=True)
    return Lacking(tuple(dict.fromkeys(integrations)), tuple(dict.fromkeys(entities)))


def _given(tools: Sequence[IndexedTool], needs: Mapping[Need, float]) -> Iterator[tuple[int, Need]]:
    """The rows of tools that give what is needed, and what they give of it."""
    # Most of what tools give nobody needs: it is told by the entity alone, an integration's id is slow to hash.
    asked = {entity for _, entity in needs}
    for row, tool in enumerate(tools if asked else ()):
        for entity in asked.intersection(tool.produces):
            need = (tool.integration_id, entity)
            if need in needs:
                yield row, need


def _needs(tools: Sequence[IndexedTool], score: Column) -> Mapping[Need, float]:
    """What the CONSUMERS best tools require, with the best score of a tool that does, best first."""
    needs: dict[Need, float] = {}
    for row in np.argsort(-score, kind="stable")[:CONSUMERS]:
        for entity in tools[row].requires:
            needs.setdefault((tools[row].integration_id, entity), float(score[row]))
    return needs
