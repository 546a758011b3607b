"""Vectors with a known structure: topics, and members around them."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.ids import ToolId
from retrieval.groups.planning import Member
from retrieval.query import Matrix

DIMENSIONS = 384


def topic(number: int) -> NDArray[np.float32]:
    """A unit vector; those of different numbers are all but orthogonal."""
    return _unit(np.random.default_rng(1_000 + number).standard_normal(DIMENSIONS))


def around(number: int, size: int, spread: float = 0.5, seed: int = 0) -> Matrix:
    """`size` unit vectors about a topic; their cosine to it is about 1 / √(1 + spread²)."""
    random = np.random.default_rng((seed, number, size))
    noise = random.standard_normal((size, DIMENSIONS))
    noise *= spread / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.stack([_unit(topic(number) + row) for row in noise])


def members(vectors: Sequence[NDArray[np.float32]], group: str = "demo", first: int = 0) -> list[Member]:
    """One member a vector, `tool_0` …, with ids in their order."""
    return [
        Member(ToolId(UUID(int=first + at)), f"tool_{first + at}", group, vector) for at, vector in enumerate(vectors)
    ]


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit
