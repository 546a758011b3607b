"""The highest of many scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.highest import Positions, highest


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(0, 35))
def test_they_are_the_first_of_all_in_order_equal_ones_by_id(values: list[int], limit: int) -> None:
    scores = np.array(values, dtype=np.float32)
    numbers = np.random.default_rng(len(values)).permutation(len(values)).tolist()
    names = [number.to_bytes(16, "big") for number in numbers]
    ids = np.frombuffer(b"".join(names), dtype="S16")
    order = sorted(range(len(values)), key=lambda at: (-values[at], names[at]))
    assert set(highest(scores, limit, ids.__getitem__).tolist()) == set(order[:limit])


def test_ids_are_read_only_where_a_tie_decides() -> None:
    def nobody(_: Positions) -> np.ndarray:
        raise AssertionError

    assert sorted(highest(np.array([3, 1, 1, 2], dtype=np.float32), 2, nobody).tolist()) == [0, 3]
    assert len(highest(np.array([3, 1, 1, 2], dtype=np.float32), 4, nobody)) == 4
