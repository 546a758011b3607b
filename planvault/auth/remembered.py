"""Answers about credentials that a process has just checked, by their digests; each for as long as it was told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 10_000

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Only what exists is put in, so strangers cannot fill it; the longest unchanged goes first."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._kept: OrderedDict[bytes, tuple[float, Value]] = OrderedDict()

    def get(self, sha256: bytes) -> Value | None:
        kept = self._kept.get(sha256)
        return kept[1] if kept is not None and self._elapsed() < kept[0] else None

    def put(self, sha256: bytes, until: float, value: Value) -> None:
        """`until`: as `elapsed` counts."""
        self._kept[sha256] = (until, value)
        self._kept.move_to_end(sha256)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def drop(self, sha256: bytes) -> None:
        self._kept.pop(sha256, None)
