"""Contestants take turns, lap by lap, so that a busy machine is busy for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from benchmarks.machine import fdatasync_ms
from benchmarks.runtime.processor import Processor


@dataclass(frozen=True, slots=True)
class Lap:
    """So many runs at once, each so often: durable steps a second, and milliseconds from a step to the next."""

    steps: int
    steps_per_s: float
    p50_ms: float
    p99_ms: float


class Contestant(Protocol):
    async def lap(self, runs: int, each: int) -> Lap: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Medians over the laps, and how far apart they were."""

    name: str
    runs: int
    laps: int
    steps_per_s: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # processor time a step, the database server's included
    fdatasync_ms: float


async def contest(
    contestants: Mapping[str, tuple[Contestant, int]], runs: int, laps: int, processor: Processor
) -> list[Standing]:
    """Each contestant's `laps` laps of `runs` runs at once, interleaved; the number is how many each of them makes."""
    made: dict[str, list[Lap]] = {name: [] for name in contestants}
    flushes: dict[str, list[float]] = {name: [] for name in contestants}
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(laps):
        for name, (contestant, each) in contestants.items():
            flushes[name].append(fdatasync_ms(30))
            before = processor.seconds()
            lap = await contestant.lap(runs, each)
            spent[name].append((processor.seconds() - before) / lap.steps * 1e6)
            made[name].append(lap)
    return [_standing(name, runs, made[name], flushes[name], spent[name]) for name in contestants]


def _standing(name: str, runs: int, laps: Sequence[Lap], flushes: Sequence[float], spent: Sequence[float]) -> Standing:
    rates = [lap.steps_per_s for lap in laps]
    return Standing(
        name=name,
        runs=runs,
        laps=len(laps),
        steps_per_s=round(median(rates), 1),
        slowest=round(min(rates), 1),
        fastest=round(max(rates), 1),
        p50_ms=round(median(lap.p50_ms for lap in laps), 3),
        p99_ms=round(median(lap.p99_ms for lap in laps), 3),
        cpu_us=round(median(spent), 1),
        fdatasync_ms=round(median(flushes), 3),
    )
