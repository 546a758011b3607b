"""Processor time of everything that a lap keeps busy: this process, what it started, and the database server.

On a machine that others use as well it says more than a rate: it grows with them by some tenths, not by multiples.
"""

from __future__ import annotations

from collections.abc import Iterator

import psutil


class Processor:
    def __init__(self, postmaster: int | None) -> None:
        """`postmaster`: the server's first process, where it runs here; without it only our side is counted."""
        self._roots = [psutil.Process()] + ([] if postmaster is None else [psutil.Process(postmaster)])

    def seconds(self) -> float:
        """User and system time so far of the processes that live now."""
        return sum(self._times())

    def _times(self) -> Iterator[float]:
        for root in self._roots:
            for process in (root, *root.children(recursive=True)):
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                yield times.user + times.system
