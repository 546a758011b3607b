"""Large and incoherent groups fall into clusters: spherical k-means (FAISS), seeded and reproducible. Pure."""

from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.groups.measure import coherence_of
from retrieval.query import Matrix

# A group up to here is searched whole; a larger one costs more than the tools in it that a prompt needs.
LARGEST: Final = 48
# What clusters of a large group have on average.
TYPICAL: Final = 24
# Below it a group is cut in two, as long as both halves can be SMALLEST.
COHERENT: Final = 0.75
SMALLEST: Final = 6

_SEED: Final = 20_260_101
_ROUNDS: Final = 12
# Cut into at most so many at once: k-means costs members times clusters, a tree of cuts only its depth.
_WIDEST: Final = 32
# k-means learns the clusters of a very large group from this many members a cluster, drawn by the seed.
_LEARNED_FROM: Final = 256


def clusters(members: Matrix) -> list[NDArray[np.int64]]:
    """Positions of the members of each cluster, every member once, clusters by their first member.

    One cluster where the group is small enough and coherent. Depends on the members and their order alone.
    """
    done: list[NDArray[np.int64]] = []
    waiting = [np.arange(len(members))]
    while waiting:
        positions = waiting.pop()
        wanted = _pieces(members[positions])
        parts = _cut(members[positions], wanted) if wanted > 1 else []
        if len(parts) > 1:
            waiting.extend(positions[part] for part in parts)
        else:
            done.extend(_halved(positions) if len(positions) > LARGEST else [positions])
    return sorted(done, key=lambda positions: int(positions[0]))


def _pieces(members: Matrix) -> int:
    """Into how many a set of members is cut; 1: it stays."""
    if len(members) > LARGEST:
        return min(_WIDEST, -(-len(members) // TYPICAL))
    return 2 if len(members) >= 2 * SMALLEST and coherence_of(members) < COHERENT else 1


def _cut(members: Matrix, pieces: int) -> list[NDArray[np.int64]]:
    """At most `pieces` clusters, none empty, by FAISS k-means on the sphere."""
    # Of this thread: the sums do not depend on the machine's cores, and who waits for it leaves the others alone.
    faiss.omp_set_num_threads(1)
    kmeans = faiss.Kmeans(
        members.shape[1],
        pieces,
        niter=_ROUNDS,
        seed=_SEED,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_LEARNED_FROM,
    )
    kmeans.train(np.ascontiguousarray(members, dtype=np.float32))
    centroids = np.asarray(kmeans.centroids, dtype=np.float32)
    nearest = np.argmax(members @ centroids.T, axis=1)
    return [np.flatnonzero(nearest == label) for label in np.unique(nearest)]


def _halved(positions: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Members that k-means cannot tell apart (the same text many times) in their order, at most LARGEST each."""
    return np.array_split(positions, -(-len(positions) // LARGEST))
