import random

import numpy as np
import pytest

from retrieval.groups.planning import POOLED, SPOKEN_FOR, bases, plan_base
from retrieval.groups.split import LARGEST, SMALLEST
from tests.unit.retrieval.groups.vectors import around, members, topic


def test_groups_of_a_fair_size_are_bases_of_their_own_and_small_ones_are_pooled() -> None:
    found = bases({"api/users": SMALLEST, "api/odd": 1, "api/even": SMALLEST - 1})
    assert found == {"api/users": ("api/users",), POOLED: ("api/even", "api/odd")}


def test_an_integration_without_small_groups_has_no_pool() -> None:
    assert bases({"api": 40}) == {"api": ("api",)}
    assert bases({}) == {}


def test_a_coherent_base_is_one_group_by_its_name_routed_by_its_centroid() -> None:
    vectors = around(1, 10)
    [group] = plan_base("api/users", members(list(vectors)))
    assert (group.name, group.base, group.part, group.parts, group.size) == ("api/users", "api/users", 0, 1, 10)
    assert group.routing == "centroid"
    np.testing.assert_allclose(group.centroid, vectors.mean(axis=0), atol=1e-6)
    assert group.coherence == pytest.approx(float(np.linalg.norm(group.centroid)), abs=1e-5)


def test_a_base_of_unrelated_members_that_cannot_be_split_is_routed_by_best_member() -> None:
    [group] = plan_base(POOLED, members([topic(number) for number in range(5)]))
    assert group.coherence < SPOKEN_FOR
    assert group.routing == "best_member"


def test_a_catch_all_falls_into_parts_that_hold_every_tool_once() -> None:
    vectors = [vector for number in range(4) for vector in around(number, LARGEST // 2)]
    groups = plan_base("api", members(vectors))
    assert [group.part for group in groups] == list(range(len(groups)))
    assert {group.parts for group in groups} == {len(groups)} != {1}
    assert {group.base_size for group in groups} == {len(vectors)}
    assert len({tool for group in groups for tool in group.tools}) == len(vectors)
    assert all(group.coherence > group.base_coherence for group in groups)


def test_the_order_in_which_members_are_read_changes_nothing() -> None:
    found = members([vector for number in range(6) for vector in around(number, 20, spread=0.9)])
    shuffled = random.Random(3).sample(found, len(found))
    once, again = plan_base("api", found), plan_base("api", shuffled)
    assert [(group.name, group.tools) for group in once] == [(group.name, group.tools) for group in again]
    for group, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(group.centroid, other.centroid)


def test_a_base_without_members_has_no_groups() -> None:
    assert plan_base("api", []) == []


def test_members_that_cancel_out_have_a_coherence_of_nothing_and_still_a_group() -> None:
    [group] = plan_base("api", members([topic(1), -topic(1)]))
    assert group.routing == "best_member"
    assert np.isfinite(group.reach)
    assert np.isfinite(group.centroid).all()
