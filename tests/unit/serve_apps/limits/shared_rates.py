"""Buckets that several meters share, in memory and in a time that tests move: what migrations/0020 does in Postgres."""

from collections.abc import Mapping

from models.rate_limits import LimitName, Quota
from serve_apps.limits.meter import Wanted


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class SharedRates:
    def __init__(self, time: Time) -> None:
        self.time = time
        self.full_at: dict[bytes, float] = {}
        self.asked = 0
        self.away = False
        self.forgets = False  # answers nothing about what it was asked

    async def take(self, weights: Mapping[bytes, float]) -> Mapping[bytes, float]:
        self.asked += 1
        if self.away:
            raise ConnectionError("the database is away")
        if self.forgets:
            return {}
        now = self.time.now
        for subject, seconds in weights.items():
            self.full_at[subject] = max(self.full_at.get(subject, now), now) + seconds
        return {subject: self.full_at[subject] - now for subject in weights}


def wanted(
    requests: int, seconds: int, subject: bytes = b"somebody", name: LimitName = LimitName.KEY_REQUESTS
) -> Wanted:
    return Wanted(name, subject, Quota(requests=requests, seconds=seconds))
