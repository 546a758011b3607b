"""Scores in and out of SQL: one expression a part of the prompt, packed as bytes. A number each, as a value of its own,
would take longer to read than to compute."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from planvault.storage.queries import load
from retrieval.highest import highest
from retrieval.query import Matrix

_SQL = load("retrieval", "sql/index_search.sql")
_SENT: Final = ">f4"  # what float4send writes


@cache
def statement(name: str, parts: int, first: int) -> str:
    """A query of index_search.sql for prompts of so many parts.

    The parts' vectors are the parameters from `first` on, where the query wants vectors; their weights follow.
    """
    sql = _SQL[name]
    vectors = [f"-(t.embedding <#> ${first + part})" for part in range(parts)]
    if "{dense}" in sql:
        first += parts
    weights = [f"coalesce(-(t.impacts <#> ${first + part}), 0)" for part in range(parts)]
    columns = _aggregated if "string_agg" in sql else _packed
    return sql.replace("{dense}", columns(vectors)).replace("{lexical}", columns(weights))


@dataclass(frozen=True, slots=True)
class Scores:
    """`tools`: ids of 16 bytes, one after the other. `scores`: shape (parts, tools)."""

    tools: bytes
    scores: Matrix

    def best(self, limit: int, above: float = -math.inf) -> set[bytes]:
        """The ids of each part's `limit` highest scores that are `above` some score, equal ones by id."""
        ids = np.frombuffer(self.tools, dtype="S16")
        return {
            self.tools[16 * at : 16 * at + 16]
            for part in self.scores
            for at in highest(part, limit, ids.__getitem__).tolist()
            if part[at] > above
        }


def aggregated(tools: bytes | None, columns: list[bytes]) -> Scores:
    """A row of string_agg columns; all are None where no tool was found."""
    if tools is None:
        return Scores(b"", np.zeros((len(columns), 0), dtype=np.float32))
    return Scores(tools, np.stack([np.frombuffer(column, dtype=_SENT) for column in columns]).astype(np.float32))


def matrix(packed: list[bytes | None], parts: int) -> Matrix:
    """Shape (tools, parts) of the packed columns of as many rows; NaN for None."""
    nothing = np.full(parts, np.nan, dtype=_SENT).tobytes()
    joined = b"".join(nothing if row is None else row for row in packed)
    return np.frombuffer(joined, dtype=_SENT).reshape(len(packed), parts).astype(np.float32)


def _aggregated(expressions: list[str]) -> str:
    return ", ".join(f"string_agg(float4send(({one})::real), ''::bytea)" for one in expressions)


def _packed(expressions: list[str]) -> str:
    return "(" + " || ".join(f"float4send(({one})::real)" for one in expressions) + ")"
