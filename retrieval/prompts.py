"""A prompt read: its clauses, their vectors and their terms."""

import numpy as np

from planvault.ports import Embedder
from retrieval.clauses import clause_spans
from retrieval.embedding import DIMENSIONS
from retrieval.query import Query
from retrieval.text import terms_of


async def read_prompt(embedder: Embedder, text: str) -> Query:
    """The prompt and its clauses with vectors and terms, from one pass of the model. Raises what the embedder raises."""
    spans = clause_spans(text)
    vectors = await embedder.embed_prompt(text, spans)
    return _query(text, spans, np.asarray(vectors, dtype=np.float32))


def read_without_vectors(text: str) -> Query:
    """The same where there is no model: every vector is zero, and is like no tool's."""
    spans = clause_spans(text)
    return _query(text, spans, np.zeros((1 + len(spans), DIMENSIONS), dtype=np.float32))


def _query(text: str, spans: list[tuple[int, int]], vectors: np.typing.NDArray[np.float32]) -> Query:
    parts = (text, *(text[start:end] for start, end in spans))
    return Query(parts, vectors, tuple(terms_of(part) for part in parts))
