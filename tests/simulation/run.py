"""Many lives, one after the other; the first that breaks an invariant says how it is lived again."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.life import Life


class Failure(AssertionError):
    def __init__(self, seed: int, why: BaseException) -> None:
        again = f"python -m tests.simulation --seed {seed}"
        super().__init__(f"seed {seed} breaks an invariant: {str(why) or type(why).__name__}; again: {again}")
        self.seed = seed


def run(seeds: Iterable[int]) -> int:
    """How many events the lives wrote. Raises Failure."""
    events = 0
    for seed in seeds:
        life = Life(seed)
        try:
            life.live()
        except Exception as fault:
            raise Failure(seed, fault) from fault
        events += len(life.record)
    return events
