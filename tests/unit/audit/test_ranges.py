"""Ranges are sets of numbers: whatever they are asked, a set answers the same."""

from hypothesis import given
from hypothesis import strategies as st

from planvault.audit.ranges import Ranges

NUMBERS = st.sets(st.integers(0, 40))


def _numbers(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(NUMBERS, NUMBERS)
def test_ranges_hold_and_lose_what_sets_do(these: set[int], those: set[int]) -> None:
    ranges = Ranges.of(these)
    assert _numbers(ranges) == these
    assert all((number in ranges) == (number in these) for number in range(42))
    assert _numbers(ranges.without(list(Ranges.of(those)))) == these - those


@given(NUMBERS)
def test_pushing_numbers_one_by_one_makes_the_same_ranges(these: set[int]) -> None:
    pushed = Ranges()
    for number in sorted(these):
        pushed.push(number)
    assert list(pushed) == list(Ranges.of(these))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_overlapping_and_empty_ranges_are_merged(given_ranges: list[tuple[int, int]]) -> None:
    expected = {number for first, last in given_ranges for number in range(first, last + 1)}
    assert _numbers(Ranges(given_ranges)) == expected
