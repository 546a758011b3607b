"""What the groups of an integration are, decided from its tools' vectors. Pure.

The unit of the decision is a base: the tools that name the same group (`Tool.group`: integration and tag), or the
integration's small groups taken together. A base depends on its own members alone, so that a change recomputes the
bases it touched and the answer is the one that a full rebuild gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ids import ToolId
from retrieval.groups.measure import centroid_of, coherence_of, reach_of
from retrieval.groups.naming import cluster_names, pooled_name
from retrieval.groups.routed import Routing
from retrieval.groups.split import SMALLEST, clusters
from retrieval.query import Matrix

# Raise it with every change of what this package decides: integrations are then grouped anew.
RULES: Final = 1
# The base of an integration's groups that are too small to be routed to one by one.
POOLED: Final = ""
# Below it a centroid points where no member is: routing compares the members.
SPOKEN_FOR: Final = 0.70


@dataclass(frozen=True, slots=True)
class Member:
    """An embedded tool. `vector`: shape (384,), L2-normalised."""

    tool_id: ToolId
    name: str
    group: str
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """One group to be: a base, or part `part` of `parts` of one. `centroid`: mean of the members, shape (384,)."""

    base: str
    part: int
    parts: int
    name: str
    size: int
    base_size: int
    coherence: float
    base_coherence: float
    reach: float
    routing: Routing
    centroid: NDArray[np.float32]
    tools: tuple[ToolId, ...]


def bases(sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Base → the groups it is made of, from the sizes of an integration's groups. Small ones are pooled."""
    small = tuple(sorted(group for group, size in sizes.items() if size < SMALLEST))
    found: dict[str, tuple[str, ...]] = {group: (group,) for group, size in sorted(sizes.items()) if size >= SMALLEST}
    if small:
        found[POOLED] = small
    return found


def plan_base(base: str, members: Sequence[Member]) -> list[PlannedGroup]:
    """The groups of one base: itself where it is coherent and not too large, else what it falls into.

    Does not depend on the order of `members`.
    """
    if not members:
        return []
    members = sorted(members, key=lambda member: member.tool_id)
    vectors = np.stack([member.vector for member in members]).astype(np.float32, copy=False)
    found = clusters(vectors)
    names = _names(base, members, found)
    whole = coherence_of(vectors)
    return [
        _group(base, part, len(found), name, members, vectors, positions, whole)
        for part, (name, positions) in enumerate(zip(names, found, strict=True))
    ]


def _group(
    base: str,
    part: int,
    parts: int,
    name: str,
    members: Sequence[Member],
    vectors: Matrix,
    positions: NDArray[np.int64],
    whole: float,
) -> PlannedGroup:
    coherence = coherence_of(vectors[positions])
    return PlannedGroup(
        base=base,
        part=part,
        parts=parts,
        name=name,
        size=len(positions),
        base_size=len(members),
        coherence=coherence,
        base_coherence=whole,
        reach=reach_of(coherence, len(positions)),
        routing="centroid" if coherence >= SPOKEN_FOR else "best_member",
        centroid=centroid_of(vectors[positions]),
        tools=tuple(members[at].tool_id for at in positions),
    )


def _names(base: str, members: Sequence[Member], found: Sequence[NDArray[np.int64]]) -> list[str]:
    if base == POOLED:
        return [pooled_name([members[at].group for at in positions]) for positions in found]
    if len(found) == 1:
        return [pooled_name([base])]
    return cluster_names(base, [[members[at].name for at in positions] for positions in found])
