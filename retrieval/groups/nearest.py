"""Chooses the groups of a prompt's parts from their cosines. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.highest import highest
from retrieval.query import Matrix

_ID: Final = "S16"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where groups stand to a prompt, an entry a group.

    `ids`: UUIDs, 16 bytes each. `similarity`: cosines to the centroid or of the best member, shape (parts, groups).
    `expected`: of the best member, same shape.
    """

    ids: NDArray[np.bytes_]
    similarity: Matrix
    expected: Matrix

    @classmethod
    def of_centroids(cls, ids: bytes, reach: NDArray[np.float32], cosines: Matrix) -> "Standing":
        return cls(np.frombuffer(ids, dtype=_ID), cosines, cosines + reach)

    @classmethod
    def of_members(cls, groups: bytes, cosines: Matrix) -> "Standing":
        """From a row a member: `groups` says whose each is."""
        ids, owner = np.unique(np.frombuffer(groups, dtype=_ID), return_inverse=True)
        best = np.full((len(cosines), len(ids)), -np.inf, dtype=np.float32)
        for part, row in enumerate(cosines):
            np.maximum.at(best[part], owner, row)
        return cls(ids, best, best)

    def and_of(self, other: "Standing") -> "Standing":
        return Standing(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.similarity, other.similarity], axis=1),
            np.concatenate([self.expected, other.expected], axis=1),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """`at`: place in the standing; `group`: 16 bytes. `part`: the part of the prompt that `expected` is highest for;
    `similarity` is that part's."""

    at: int
    group: bytes
    part: int
    similarity: float
    expected: float


def choose(standing: Standing, top_k: int) -> list[Chosen]:
    """The `top_k` groups of every part by what is expected of their best member, once each; highest first, then by id.

    A group is held to the part that expects most of it, whichever part it was chosen for.
    """
    best = [highest(row, top_k, standing.ids.__getitem__) for row in standing.expected]
    places = np.unique(np.concatenate(best)).tolist()
    chosen = [_chosen(standing, at) for at in places]
    return sorted(chosen, key=lambda one: (-one.expected, one.group))


def _chosen(standing: Standing, at: int) -> Chosen:
    part = int(np.argmax(standing.expected[:, at]))
    return Chosen(
        at=at,
        # numpy strips the zero bytes that an id may end in
        group=bytes(standing.ids[at]).ljust(16, b"\0"),
        part=part,
        similarity=float(standing.similarity[part, at]),
        expected=float(standing.expected[part, at]),
    )
