"""The garbage collector of a process that lives long and allocates much."""

from __future__ import annotations

import gc

_THRESHOLDS = (20_000, 20, 20)  # of the three generations; Python's own are 700, 10, 10


def settle_memory() -> None:
    """Leave what is loaded by now out of every later collection, and collect less often.

    Modules, schemas and classes are some hundred thousand objects that never die; a full collection looked at all of
    them and stopped the host's event loop for 60 ms, some times a minute. What a step leaves behind has no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
