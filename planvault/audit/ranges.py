"""Sets of row numbers as ranges: few, where rows are erased by the stretch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence


class Ranges:
    """Disjoint closed ranges, ascending."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[list[int]] = []
        for first, last in sorted(ranges):
            if first > last:
                continue
            if self._ranges and first <= self._ranges[-1][1] + 1:
                self._ranges[-1][1] = max(self._ranges[-1][1], last)
            else:
                self._ranges.append([first, last])

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Ranges:
        return cls((number, number) for number in numbers)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((first, last) for first, last in self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._ranges, number, key=lambda each: each[0]) - 1
        return place >= 0 and number <= self._ranges[place][1]

    def push(self, number: int) -> None:
        """Add a number that is above all others."""
        if self._ranges and number == self._ranges[-1][1] + 1:
            self._ranges[-1][1] = number
        else:
            self._ranges.append([number, number])

    def without(self, others: Sequence[tuple[int, int]]) -> Ranges:
        """What is left when `others` are taken away."""
        left: list[tuple[int, int]] = []
        taken, place = list(Ranges(others)), 0
        for first, last in self:
            while place < len(taken) and taken[place][1] < first:
                place += 1
            at = place
            while at < len(taken) and taken[at][0] <= last:
                begin, end = taken[at]
                left.append((first, begin - 1))
                first = max(first, end + 1)
                at += 1
            left.append((first, last))
        return Ranges(left)
