"""A prompt as the indexes see it, and what they answer with. Vocabulary of selection; no behaviour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId, ToolId

Matrix: TypeAlias = NDArray[np.float32]
# Lexeme → weight in the query, > 0. How rare a lexeme is in the catalog is the index's knowledge, not the query's.
Terms: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Query:
    """A prompt and its clauses. Part 0 is the whole prompt, the others are its clauses (none for a single intent).

    `vectors`: shape (parts, 384), L2-normalised. `terms`: one a part. `blind`: no model read it, the vectors are zeros
    and cosines to them mean nothing.
    """

    parts: tuple[str, ...]
    vectors: Matrix
    terms: tuple[Terms, ...]
    blind: bool = False


@dataclass(frozen=True, slots=True)
class IndexedTool:
    """What selection knows of a tool without its definition.

    `requires`: the inputs that a caller must have from elsewhere, `produces`: the outputs that may be such inputs; both
    spelled as `retrieval.links` spells entities.
    """

    tool_id: ToolId
    version: int
    name: str
    group: str
    integration_id: IntegrationId
    requires: Sequence[str] = ()
    produces: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates with their raw scores, one row a tool, one column a part of the query.

    `dense`: cosines, shape (tools, parts), NaN where a tool has no vector yet. `lexical`: BM25, same shape, 0 where no
    term meets. Both are complete: a tool that only one of them found has the other's score too.
    """

    tools: Sequence[IndexedTool]
    dense: Matrix
    lexical: Matrix


@dataclass(frozen=True, slots=True)
class Ranked:
    """A pool in its order. What a tool's `contributions` add up to is its `score`: the ranking has no other reason.

    `order`: rows of the pool, best first, equal scores by name; shape (tools,). `score` and each of the contributions,
    by name: shape (tools,), a row a tool as in the pool.
    """

    order: NDArray[np.intp]
    score: NDArray[np.float64]
    contributions: Mapping[str, NDArray[np.float64]]
