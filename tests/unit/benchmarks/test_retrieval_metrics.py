"""What counts as found, where a needed tool can be any of several."""

from itertools import permutations
from math import log2

import pytest

from benchmarks.retrieval.metrics import difference, figures, gains, intervals


def slots(*ids: str) -> list[frozenset[str]]:
    """One a word; its letters are the tools that can meet it."""
    return [frozenset(each) for each in ids]


def test_with_one_tool_a_slot_gains_are_hits() -> None:
    assert gains("xaybz", slots("a", "b")) == [0, 1, 0, 1, 0]


def test_a_slot_is_met_once_and_a_tool_meets_one_slot() -> None:
    assert gains("ab", slots("ab")) == [1, 0]
    assert gains("a", slots("ab", "ac")) == [1]


def test_a_repeated_tool_gains_nothing_more() -> None:
    assert sum(gains("aaaa", slots("ab", "ac"))) == 1


def test_a_tool_gives_up_its_slot_to_one_that_can_meet_no_other() -> None:
    """Greedy in the order of slots would give `a` the first slot and find nothing for `b`."""
    assert gains("ab", slots("ab", "a")) == [1, 1]


def test_a_chain_of_moves_makes_room() -> None:
    assert gains("abc", slots("ab", "bc", "a")) == [1, 1, 1]


@pytest.mark.parametrize("order", list(permutations("abcd")))
def test_how_many_slots_are_met_does_not_hang_on_the_order_of_the_ranking(order: tuple[str, ...]) -> None:
    assert sum(gains(order, slots("ab", "ab", "ab", "cd"))) == 3


def test_recall_completeness_and_ndcg_of_a_ranking() -> None:
    found = figures("uavwxyb", slots("a", "b"))

    assert found["R@5"] == found["R@10"] / 2 == 0.5
    assert found["C@30"] == 1.0
    assert found["NDCG@10"] == pytest.approx((1 / log2(3) + 1 / log2(8)) / (1 + 1 / log2(3)))


def test_a_perfect_ranking_has_ndcg_of_one_also_with_alternatives() -> None:
    assert figures("abcd", slots("ax", "by", "ab"))["NDCG@10"] < 1.0
    assert figures("abx", slots("ax", "by", "ab"))["NDCG@10"] == pytest.approx(1.0)


def test_more_needed_tools_than_ranks_can_be_perfect_too() -> None:
    many = [str(number) for number in range(12)]
    assert figures(many, [frozenset({each}) for each in many])["NDCG@10"] == pytest.approx(1.0)


def test_intervals_hold_the_mean_and_come_out_the_same_again() -> None:
    scored = [figures("ab", slots("a" if number % 3 else "z")) for number in range(60)]

    once, again = (intervals(scored, seed=1)["R@5"] for _ in range(2))

    assert once == again
    assert once.mean == pytest.approx(200 / 3, abs=0.01)
    assert 50 < once.low < once.mean < once.high < 82


def test_a_difference_is_taken_prompt_by_prompt() -> None:
    """Every prompt is better by the same: no doubt is left, however far apart the prompts are."""
    hard = [figures("xxxa" if number % 2 else "x", slots("a", "b")) for number in range(20)]
    better = [{name: value + 0.25 for name, value in one.items()} for one in hard]

    found = difference(better, hard, seed=0)["R@5"]

    assert (found.low, found.mean, found.high) == (25.0, 25.0, 25.0)
