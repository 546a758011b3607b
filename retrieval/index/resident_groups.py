"""The groups of a resident copy, and the routing of a prompt to them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import DIMENSIONS
from retrieval.groups.nearest import Chosen, Standing, choose
from retrieval.groups.routed import Routed, RoutedGroup
from retrieval.index.resident_block import Ids, Mask, Rows
from retrieval.query import Matrix

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows of tool_group_centroids, a column each; migration 0011 says what they are.

    `directions`: centroids of length one. `spoken_for`: routed by their centroid, the others by their best member.
    `whys`: retrieval.groups.explain.
    """

    ids: Ids
    integrations: Ids
    group_ids: NDArray[np.object_]  # `ids` and `integrations` as UUIDs
    integration_ids: NDArray[np.object_]
    names: NDArray[np.object_]
    whys: NDArray[np.object_]
    sizes: Rows
    coherences: Numbers
    reaches: Numbers
    spoken_for: Mask
    directions: Matrix

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Names, ids and explanations take some 600 bytes a group."""
        return sum(int(getattr(self, field.name).nbytes) for field in fields(self)) + 600 * len(self.ids)

    def of(self, rows: Mask) -> "Groups":
        return Groups(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def joined(self, more: "Groups") -> "Groups":
        if not len(more):
            return self
        pairs = {field.name: (getattr(self, field.name), getattr(more, field.name)) for field in fields(self)}
        return Groups(**{name: np.concatenate(pair) for name, pair in pairs.items()})

    def nearest(self, vectors: Matrix, enabled: Mask, members: "Members", top_k: int) -> Routed:
        """As retrieval.groups.router.GroupRouter, but for `ungrouped`, which groups do not know."""
        similarity = vectors @ self.directions.T
        expected = similarity + self.reaches
        best = members.best(vectors).T
        similarity[:, members.groups] = expected[:, members.groups] = best
        told = self.spoken_for.copy()
        told[members.groups] = True
        rows = np.flatnonzero(told & enabled)
        standing = Standing(self.ids[rows], similarity[:, rows], expected[:, rows])
        routed = [self._routed(int(rows[chosen.at]), chosen) for chosen in choose(standing, top_k)]
        return Routed(groups=routed, considered=len(rows), ungrouped=0)

    def _routed(self, row: int, chosen: Chosen) -> RoutedGroup:
        return RoutedGroup(
            group_id=self.group_ids[row],
            integration_id=self.integration_ids[row],
            name=self.names[row],
            size=int(self.sizes[row]),
            coherence=float(self.coherences[row]),
            routing="centroid" if self.spoken_for[row] else "best_member",
            similarity=chosen.similarity,
            expected=chosen.expected,
            part=chosen.part,
            why=self.whys[row],
        )


class Members:
    """The tools of the groups that only their members can speak for, group by group.

    `rows`: place of each tool's group among the copy's groups. `vectors`: of the same tools.
    """

    def __init__(self, rows: NDArray[np.intp], vectors: Matrix) -> None:
        order = np.argsort(rows, kind="stable")
        self.groups, self._starts = np.unique(rows[order], return_index=True)
        self._vectors = vectors[order]

    @property
    def nbytes(self) -> int:
        return self._vectors.nbytes + self.groups.nbytes + self._starts.nbytes

    def best(self, vectors: Matrix) -> Matrix:
        """The cosine of each group's best member, by part; shape (groups, parts)."""
        if not len(self.groups):
            return np.zeros((0, len(vectors)), dtype=np.float32)
        cosines = self._vectors @ np.ascontiguousarray(vectors.T)
        best: Matrix = np.maximum.reduceat(cosines, self._starts, axis=0)
        return best


def together(parts: Sequence[Groups]) -> Groups:
    whole = NO_GROUPS
    for part in parts:
        whole = whole.joined(part)
    return whole


NO_GROUPS = Groups(
    ids=np.zeros(0, dtype="S16"),
    integrations=np.zeros(0, dtype="S16"),
    group_ids=np.zeros(0, dtype=object),
    integration_ids=np.zeros(0, dtype=object),
    names=np.zeros(0, dtype=object),
    whys=np.zeros(0, dtype=object),
    sizes=np.zeros(0, dtype=np.int32),
    coherences=np.zeros(0, dtype=np.float32),
    reaches=np.zeros(0, dtype=np.float32),
    spoken_for=np.zeros(0, dtype=np.bool_),
    directions=np.zeros((0, DIMENSIONS), dtype=np.float32),
)
