import numpy as np
import pytest

from retrieval.groups.measure import coherence_of
from retrieval.groups.split import COHERENT, LARGEST, SMALLEST, clusters
from retrieval.query import Matrix
from tests.unit.retrieval.groups.vectors import around, topic


def _everyone_once(members: Matrix) -> None:
    found = clusters(members)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(members)))
    assert all(len(positions) <= LARGEST for positions in found)


def test_a_coherent_group_of_a_searchable_size_stays_whole() -> None:
    assert [len(positions) for positions in clusters(around(1, LARGEST))] == [LARGEST]


def test_a_group_of_several_topics_falls_into_its_topics() -> None:
    members = np.concatenate([around(number, 9) for number in range(4)])
    found = {frozenset((positions // 9).tolist()) for positions in clusters(members)}
    assert found == {frozenset({number}) for number in range(4)}


def test_a_large_group_is_split_however_coherent_it_is() -> None:
    members = around(1, 10 * LARGEST, spread=0.2)
    assert coherence_of(members) > COHERENT
    assert len(clusters(members)) >= 10
    _everyone_once(members)


@pytest.mark.parametrize("size", [1, 2, SMALLEST, 2 * SMALLEST - 1])
def test_a_small_group_is_not_split_however_incoherent_it_is(size: int) -> None:
    members = np.stack([topic(number) for number in range(size)])
    assert len(clusters(members)) == 1


def test_members_that_cannot_be_told_apart_end_in_clusters_of_a_searchable_size() -> None:
    members = np.repeat(topic(1)[None], 5 * LARGEST + 1, axis=0)
    _everyone_once(members)


def test_splitting_again_gives_the_same_clusters() -> None:
    members = np.concatenate([around(number, 40, spread=1.0) for number in range(10)])
    once, again = clusters(members), clusters(members.copy())
    assert [positions.tolist() for positions in once] == [positions.tolist() for positions in again]
    _everyone_once(members)


def test_a_catch_all_of_thousands_is_split_into_coherent_clusters_in_reasonable_time() -> None:
    members = np.concatenate([around(number, 30, spread=0.6) for number in range(40)])
    found = clusters(members)
    coherent = sum(len(positions) for positions in found if coherence_of(members[positions]) >= COHERENT)
    assert coherent > 0.9 * len(members)
