"""How much groups tell about scores."""

import numpy as np
import pytest

from retrieval.groups_boost import best_members, group_trust

RANDOM = np.random.default_rng(7)


def test_best_members_are_of_each_rows_group() -> None:
    best = best_members(np.array([1.0, 3.0, -2.0, 2.0]), np.array([0, 0, 1, 0]))
    assert best.tolist() == [3.0, 3.0, -2.0, 3.0]


def test_groups_whose_members_score_alike_are_trusted() -> None:
    group = np.repeat(np.arange(20), 10)
    scores = RANDOM.normal(0, 1, (20, 3))[group] + RANDOM.normal(0, 0.5, (200, 3))
    assert group_trust(scores, group) == 1.0


@pytest.mark.parametrize("groups", [5, 20, 60])
def test_groups_made_at_random_are_hardly_trusted(groups: int) -> None:
    trust = [
        group_trust(RANDOM.normal(0, 1, (300, 3)), np.unique(RANDOM.integers(0, groups, 300), return_inverse=True)[1])
        for _ in range(20)
    ]
    assert np.mean(trust) < 0.15


@pytest.mark.parametrize("group", [[0] * 6, [0, 1, 2, 3, 4, 5], [0]])
def test_one_group_or_groups_of_one_tell_nothing(group: list[int]) -> None:
    numbers = np.unique(group, return_inverse=True)[1]
    assert group_trust(RANDOM.normal(0, 1, (len(group), 2)), numbers) == 0.0


def test_equal_scores_tell_nothing() -> None:
    assert group_trust(np.zeros((6, 2)), np.array([0, 0, 1, 1, 2, 2])) == 0.0


def test_an_empty_pool_tells_nothing() -> None:
    assert group_trust(np.zeros((0, 1)), np.zeros(0, dtype=np.intp)) == 0.0
