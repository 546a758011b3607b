"""A prompt read: its clauses, their vectors and their terms."""

import numpy as np

from planvault.ports import Embedder
from retrieval.clauses import clause_spans
from retrieval.embedding import DIMENSIONS
from retrieval.query import Query
from retrieval.text import terms_of


async def read_prompt(embedder: Embedder, text: str) -> Query:
    """The prompt and its clauses with vectors and terms, of one pass of the model. Raises what the embedder raises."""
    spans = clause_spans(text)
    vectors = await embedder.embed_prompt(text, spans)
    parts = (text, *(text[start:end] for start, end in spans))
    return Query(parts, np.asarray(vectors, dtype=np.float32), tuple(map(terms_of, parts)))


def read_without_model(text: str) -> Query:
    """The same where no model answers."""
    parts = (text, *(text[start:end] for start, end in clause_spans(text)))
    nothing = np.zeros((len(parts), DIMENSIONS), dtype=np.float32)
    return Query(parts, nothing, tuple(map(terms_of, parts)), blind=True)
