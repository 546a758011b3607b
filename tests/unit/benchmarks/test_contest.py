"""Contestants of the runtime's benchmark take turns, and the median of their laps counts."""

import os

from benchmarks.runtime.contest import Lap, contest
from benchmarks.runtime.peers.protocol import StepTimes
from benchmarks.runtime.processor import Processor


class Contestant:
    def __init__(self, name: str, rates: list[float], order: list[str]) -> None:
        self._name = name
        self._rates = iter(rates)
        self._order = order

    async def lap(self, runs: int, each: int) -> Lap:
        self._order.append(f"{self._name} {runs}x{each}")
        rate = next(self._rates)
        return Lap(100, rate, 1_000 / rate, 2_000 / rate)


async def test_laps_interleave_and_one_bad_lap_does_not_decide() -> None:
    order: list[str] = []
    contestants = {
        "ours": (Contestant("ours", [100, 10, 110], order), 7),
        "peer": (Contestant("peer", [50, 60, 40], order), 2),
    }
    ours, peer = await contest(contestants, 32, 3, Processor(None))
    assert order == ["ours 32x7", "peer 32x2"] * 3
    assert (ours.name, ours.runs, ours.steps_per_s, ours.slowest, ours.fastest) == ("ours", 32, 100, 10, 110)
    assert (peer.steps_per_s, peer.p50_ms) == (50, 20)


def test_the_gap_between_steps_is_taken_within_a_run() -> None:
    times = StepTimes()
    for run in ("a", "b", "a", "b", "a"):
        times.note(run)
    assert len(times.take()) == 3  # two in a, one in b: none from one run to the other
    assert times.take() == []


def test_processor_time_counts_what_this_process_does() -> None:
    processor = Processor(None)
    before = processor.seconds()
    spent = os.times().user
    while os.times().user < spent + 0.05:
        pass
    assert processor.seconds() - before >= 0.04
