import numpy as np

from retrieval.groups.nearest import Chosen, Standing, choose


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _standing(cosines: list[list[float]], reach: list[float] | None = None) -> Standing:
    matrix = np.array(cosines, dtype=np.float32)
    ids = b"".join(_id(number) for number in range(matrix.shape[1]))
    return Standing.of_centroids(ids, np.array(reach or [0.0] * matrix.shape[1], dtype=np.float32), matrix)


def _groups(chosen: list[Chosen]) -> list[int]:
    return [int.from_bytes(one.group, "big") for one in chosen]


def test_every_part_brings_its_best_and_a_group_is_named_once_by_the_part_that_expects_most_of_it() -> None:
    chosen = choose(_standing([[0.9, 0.5, 0.1], [0.2, 0.6, 0.7]]), 2)
    assert _groups(chosen) == [0, 2, 1]
    assert [one.part for one in chosen] == [0, 1, 1]


def test_the_reach_of_a_group_counts() -> None:
    [first] = choose(_standing([[0.5, 0.45]], [0.0, 0.1]), 1)
    assert (_groups([first]), round(first.similarity, 3), round(first.expected, 3)) == ([1], 0.45, 0.55)


def test_a_group_of_members_stands_where_its_best_one_stands() -> None:
    members = Standing.of_members(_id(7) + _id(5) + _id(7), np.array([[0.1, 0.2, 0.9]], dtype=np.float32))
    chosen = choose(_standing([[0.5]]).and_of(members), 2)
    assert _groups(chosen) == [7, 0]


def test_equal_groups_come_by_id_and_ids_that_end_in_zeros_stay_whole() -> None:
    ids = (256).to_bytes(16, "big") + (0).to_bytes(16, "big")
    standing = Standing.of_centroids(ids, np.zeros(2, dtype=np.float32), np.full((1, 2), 0.5, dtype=np.float32))
    assert [one.group for one in choose(standing, 5)] == [(0).to_bytes(16, "big"), (256).to_bytes(16, "big")]
    assert [one.group for one in choose(standing, 1)] == [(0).to_bytes(16, "big")]


def test_no_groups_give_no_groups() -> None:
    nothing = np.zeros((2, 0), dtype=np.float32)
    empty = Standing.of_centroids(b"", np.zeros(0, dtype=np.float32), nothing)
    assert choose(empty.and_of(Standing.of_members(b"", nothing)), 10) == []
