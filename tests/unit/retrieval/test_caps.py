"""Which ranked tools make the shortlist."""

from hypothesis import given
from hypothesis import strategies as st

from models.planning import Exclusion
from retrieval.caps import cut


def test_without_a_cap_the_best_are_kept_and_the_rest_finds_no_room() -> None:
    made = cut([2, 0, 1], ["a", "a", "a"], 2, 0)
    assert list(made.kept) == [2, 0]
    assert made.excluded == {1: Exclusion.SHORTLIST_FULL}


def test_a_group_beyond_its_cap_makes_room_for_others() -> None:
    made = cut([0, 1, 2, 3, 4], ["a", "a", "a", "b", "c"], 3, 2)
    assert list(made.kept) == [0, 1, 3]
    assert made.excluded == {2: Exclusion.GROUP_CAP, 4: Exclusion.SHORTLIST_FULL}


@given(st.permutations(range(12)), st.lists(st.sampled_from("abc"), min_size=12, max_size=12), st.integers(1, 14))
def test_caps_never_reorder_and_every_tool_is_kept_or_says_why_not(
    order: list[int], groups: list[str], limit: int
) -> None:
    for per_group in (0, 1, 3):
        made = cut(order, groups, limit, per_group)
        assert sorted([*made.kept, *made.excluded]) == list(range(12))
        assert sorted(made.kept, key=order.index) == list(made.kept)
        counts = [sum(groups[row] == group for row in made.kept) for group in "abc"]
        assert len(made.kept) <= limit
        assert not per_group or max(counts) <= per_group
