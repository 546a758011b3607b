import numpy as np
import pytest

from retrieval.groups.measure import centroid_of, coherence_of, reach_of
from tests.unit.retrieval.groups.vectors import around, topic


def test_coherence_is_the_mean_cosine_of_the_members_to_their_centroid() -> None:
    members = around(1, 20)
    centroid = centroid_of(members)
    cosines = members @ (centroid / np.linalg.norm(centroid))
    assert coherence_of(members) == pytest.approx(float(cosines.mean()), abs=1e-5)


def test_one_member_is_coherent_and_opposite_ones_are_not() -> None:
    assert coherence_of(around(1, 1)) == pytest.approx(1.0, abs=1e-6)
    assert coherence_of(np.stack([topic(1), -topic(1)])) == pytest.approx(0.0, abs=1e-6)


def test_members_around_one_topic_are_more_coherent_than_members_of_several() -> None:
    mixed = np.concatenate([around(number, 5) for number in range(4)])
    assert coherence_of(around(1, 20)) > 0.85 > 0.6 > coherence_of(mixed)


def test_reach_grows_with_size_and_with_incoherence_and_is_nothing_for_one_member() -> None:
    assert reach_of(0.8, 1) == 0.0
    assert reach_of(1.0, 1_000) == 0.0
    assert 0 < reach_of(0.8, 4) < reach_of(0.8, 40) < reach_of(0.5, 40) < 0.5


def test_reach_is_about_how_far_the_best_member_stands_above_the_centroid() -> None:
    """With members that spread evenly in as many directions as REACH_DIMENSIONS says."""
    random = np.random.default_rng(7)
    rows = random.standard_normal((2_000, 121)) * np.array([11.0, *([1.0] * 120)])
    rows[:, 0] = 11.0
    members = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    prompt = np.zeros(121, dtype=np.float32)
    prompt[1] = 1.0
    expected = reach_of(coherence_of(members), len(members))
    assert float((members @ prompt).max()) == pytest.approx(expected, rel=0.25)
