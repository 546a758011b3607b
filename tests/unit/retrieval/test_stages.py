"""How long each stage of a selection took."""

import pytest

from retrieval.stages import Stages


def test_a_stage_that_comes_twice_counts_twice_and_one_that_fails_counts_too() -> None:
    times = iter([0.0, 1.0, 1.5, 2.0, 2.25, 3.0, 3.5, 4.0])
    stages = Stages(lambda: next(times))
    for _ in range(2):
        with stages.timed("search"):
            pass
    with pytest.raises(ValueError, match="no"), stages.timed("rank"):
        raise ValueError("no")
    assert stages.milliseconds() == {"search": 750.0, "rank": 500.0, "total": 4_000.0}
