"""The highest of many scores, the same ones whichever index is asked. Pure."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Positions: TypeAlias = NDArray[np.intp]


def highest(scores: NDArray[np.float32], limit: int, ids: Callable[[Positions], NDArray[np.bytes_]]) -> Positions:
    """Positions of the `limit` highest of `scores`, in no order; of equal ones those whose `ids` come first.

    `ids` is asked only where a tie decides.
    """
    if limit < 1:
        return np.zeros(0, dtype=np.intp)
    if len(scores) <= limit:
        return np.arange(len(scores))
    last = np.partition(scores, -limit)[-limit]
    above, ties = np.flatnonzero(scores > last), np.flatnonzero(scores == last)
    wanted = limit - len(above)
    return np.concatenate((above, ties if len(ties) == wanted else ties[np.argsort(ids(ties))[:wanted]]))
