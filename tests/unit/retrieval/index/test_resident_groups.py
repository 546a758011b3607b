"""Routing over the groups of a resident copy: the same choice as over rows that Postgres sends."""

import numpy as np

from retrieval.groups.nearest import Standing, choose
from retrieval.index.resident_groups import NO_GROUPS, Groups, Members
from retrieval.query import Matrix

NOBODY = Members(np.zeros(0, dtype=np.intp), np.zeros((0, 384), dtype=np.float32))


def groups_of(directions: Matrix, reaches: Matrix) -> Groups:
    count = len(directions)
    ids = np.frombuffer(b"".join((number + 1).to_bytes(16, "big") for number in range(count)), dtype="S16")
    named = np.array([f"g{number}" for number in range(count)], dtype=object)
    return Groups(
        ids=ids,
        integrations=ids,
        group_ids=named,
        integration_ids=named,
        names=named,
        whys=named,
        sizes=np.full(count, 6, dtype=np.int32),
        coherences=np.ones(count, dtype=np.float32),
        reaches=reaches,
        spoken_for=np.ones(count, dtype=np.bool_),
        directions=directions,
    )


def test_a_group_is_held_to_the_part_that_expects_most_of_it_whichever_it_was_chosen_for() -> None:
    chance = np.random.default_rng(3)
    directions = chance.normal(size=(40, 384)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    parts = np.stack([directions[:20].sum(axis=0), directions[30]]).astype(np.float32)
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    reaches = np.abs(chance.normal(size=40)).astype(np.float32) / 10
    groups = groups_of(directions, reaches)

    routed = groups.nearest(parts, np.ones(40, dtype=np.bool_), NOBODY, 5)

    cosines = parts @ directions.T
    expected = choose(Standing(groups.ids, cosines, cosines + reaches), 5)
    assert [(one.name, one.part) for one in routed.groups] == [
        (f"g{int.from_bytes(one.group, 'big') - 1}", one.part) for one in expected
    ]
    np.testing.assert_allclose([one.expected for one in routed.groups], [one.expected for one in expected], rtol=1e-5)


def test_what_is_switched_off_or_has_no_member_left_is_not_chosen() -> None:
    directions = np.eye(4, 384, dtype=np.float32)
    groups = groups_of(directions, np.zeros(4, dtype=np.float32))
    groups.spoken_for[[1, 2]] = False
    members = Members(np.array([2], dtype=np.intp), directions[:1])

    routed = groups.nearest(directions[:1], np.array([True, True, True, False]), members, 10)

    assert [(one.name, one.routing) for one in routed.groups] == [("g0", "centroid"), ("g2", "best_member")]
    assert groups.nearest(directions[:1], np.zeros(4, dtype=np.bool_), members, 10).groups == []
    assert NO_GROUPS.nearest(directions[:1], np.zeros(0, dtype=np.bool_), NOBODY, 10).groups == []
