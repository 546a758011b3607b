"""How well a scenario does, and how much a tool is used, as numbers that fade. Pure; the clock is an argument.

A count halves with every half-life: `value × 2^(-age / half_life)`. What happened is added at its own time, so that
taking it back later takes back exactly what is left of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# A count below is noise: it is set to zero, so that taking back what was added leaves nothing behind.
_NOTHING: Final = 1e-6
# What a manual scenario is believed before any run has shown anything: three successes.
MANUAL_TRUST: Final = 3.0
# Uses at which the usage of a tool counts in full.
SATURATION: Final = 100.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Decayed successes and failures as they were worth at `at`."""

    successes: float
    failures: float
    at: datetime

    def as_of(self, now: datetime, half_life: timedelta) -> Tally:
        left = decay(now - self.at, half_life)
        return Tally(self.successes * left, self.failures * left, max(now, self.at))

    def plus(self, successes: float, failures: float, at: datetime, half_life: timedelta) -> Tally:
        """With what happened at `at`, before or after this tally's own time. Negative numbers take back."""
        now = max(at, self.at)
        mine, late = self.as_of(now, half_life), decay(now - at, half_life)
        return Tally(_floored(mine.successes + late * successes), _floored(mine.failures + late * failures), now)


def decay(age: timedelta, half_life: timedelta) -> float:
    """What is left of 1 after `age`; 1 for what lies ahead (clocks differ a little)."""
    return math.exp2(-max(age / half_life, 0.0))


def success_rate(tally: Tally, *, manual: bool) -> float:
    """0 … 1. An automatic scenario earns its rate: no evidence is 0, one success 0.5, many approach 1.

    A manual one has a person's word, which counts like MANUAL_TRUST successes that do not fade.
    """
    trusted = MANUAL_TRUST if manual else 0.0
    doubt = 0.0 if manual else 1.0
    return (trusted + tally.successes) / (trusted + doubt + tally.successes + tally.failures)


def standing(tally: Tally, *, manual: bool) -> float:
    """-1 … 1, what a scenario counts for: its success rate less its failure rate, by the same measure.

    Runs that keep failing turn an automatic scenario against its tools; a manual one at worst counts for nothing.
    """
    total = tally.successes + tally.failures + (MANUAL_TRUST if manual else 1.0)
    balance = success_rate(tally, manual=manual) - tally.failures / total
    return max(balance, 0.0) if manual else balance


def usage_share(uses: float) -> float:
    """0 … 1, logarithmic: the tenth use counts for far more than the thousandth."""
    return min(math.log1p(max(uses, 0.0)) / math.log1p(SATURATION), 1.0)


def _floored(value: float) -> float:
    return value if value > _NOTHING else 0.0
